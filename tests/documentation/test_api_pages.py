"""The API reference has every public module, and each class and function in one place."""

import re

import griffe
import pytest
from api_pages import Reference
from docstring_roles import as_markdown

import gat_lightning
from support.documents import REPOSITORY

PACKAGE = REPOSITORY / "src" / "gat_lightning"
BLOCK = re.compile(r"^::: (gat_lightning[\w.]*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def reference():
    return Reference(PACKAGE)


def test_every_public_name_has_a_line_and_is_documented(reference):
    listed = re.findall(r"^- \[`(\w+)`\]\[gat_lightning\.\1\]: \S.+$", reference.index(), re.MULTILINE)
    assert sorted(listed) == sorted(gat_lightning.__all__)
    documented = BLOCK.findall("".join(reference.public_pages().values()))
    assert sorted(documented) == sorted(f"gat_lightning.{name}" for name in gat_lightning.__all__)


def test_every_other_module_is_documented_once(reference):
    documented = BLOCK.findall("".join(reference.internal_pages().values()))
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            assert documented.count(".".join(parts)) == 1


def test_public_names_and_members_of_packages_are_left_out_of_internal_pages(reference):
    page = reference.internal_pages()["weighting.md"]
    assert '::: gat_lightning.weighting.mgda\n    options:\n      filters: ["!^_[^_]", "!^(MGDA)$"]\n' in page
    assert "::: gat_lightning.weighting\n    options:\n      members: false\n" in page
    assert "::: gat_lightning.weighting.min_norm\n\n" in page


def test_every_internal_page_says_what_it_has(reference):
    pages = reference.internal_pages()
    described = re.findall(r"^\| \[`(\w+)`\].* \| (.*) \|$", pages.pop("index.md"), re.MULTILINE)
    assert {name for name, _ in described} == {page.removesuffix(".md") for page in pages}
    assert not [name for name, words in described if not words.strip()]


def test_examples_are_sections_of_code():
    files = [path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text()]
    assert files
    for path in files:
        assert not re.search(r"^ *Example:$", path.read_text(), re.MULTILINE)


def documented(obj):
    """All that the package documents."""
    for each in obj.members.values():
        if not each.is_alias:
            yield each
            yield from documented(each)


def test_what_is_returned_is_not_taken_for_its_type():
    package = griffe.load("gat_lightning", search_paths=[PACKAGE.parent])
    options = {"returns_multiple_items": False, "returns_named_value": False, "warnings": False}
    found = 0
    for each in documented(package):
        if each.has_docstring and each.is_function:
            each.docstring.value = as_markdown(each.docstring.value, each)
            for section in each.docstring.parse("google", **options):
                if section.kind in (griffe.DocstringSectionKind.returns, griffe.DocstringSectionKind.yields):
                    (item,) = section.value
                    assert str(item.annotation) in str(each.returns), each.path
                    found += 1
    assert found > 50


def test_an_address_is_that_of_the_public_name_where_there_is_one(reference):
    assert reference.address_of("gat_lightning.weighting.mgda.MGDA") == "api/weighting.md#gat_lightning.MGDA"
    assert (
        reference.address_of("gat_lightning.gradients.engine.GradientEngine.step")
        == "api/gradients.md#gat_lightning.GradientEngine.step"
    )
    assert reference.address_of("gat_lightning.curvature") == "internals/curvature.md#gat_lightning.curvature"
