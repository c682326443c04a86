"""No link inside the repository is dead, in the README and the other pages beside it, and in docs/."""

import ast
import re

import pytest

from support.documents import PAGES, REPOSITORY, anchors_of, links_of, name_of

PAGES = [
    *PAGES,
    *(REPOSITORY / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_something(page):
    for link in links_of(page.read_text()):
        if re.match(r"\w+:", link):
            continue
        path, _, place = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if place and target.suffix == ".md":
            assert place in anchors_of(target.read_text()), link
        elif place and target.suffix == ".py":
            assert place in defined_in(target), link


def defined_in(path):
    """Names of its functions, classes and methods, as ``Class.method``."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found
