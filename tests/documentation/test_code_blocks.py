"""Blocks of code name their language, and those of the shell fit a page and can be pasted."""

import re

import pytest

from support.documents import PAGES, REPOSITORY, blocks_of, name_of

WRITTEN = [*PAGES, *(REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md"))]
COLUMNS = 80


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_block_names_its_language(page):
    assert not [lines[0] for language, lines in blocks_of(page) if not language]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_lines_of_the_shell_fit_a_page(page):
    lines = [line for language, lines in blocks_of(page) if language in ("bash", "console") for line in lines]
    assert not [line for line in lines if len(line) >= COLUMNS]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_a_comment_of_the_shell_has_a_line_of_its_own(page):
    lines = [line for language, lines in blocks_of(page) if language == "bash" for line in lines]
    assert not [line for line in lines if re.search(r"\S\s+# ", line)]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_a_block_of_mathematics_has_one_formula(page):
    """GitHub sets the lines of a block as one formula."""
    assert not [lines for language, lines in blocks_of(page) if language == "math" and len(lines) > 1]
