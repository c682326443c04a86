"""The static site: links and formulas become what it shows, and its build checks them."""

import re

import pytest
import yaml
from docstring_roles import as_markdown
from formulas import picture
from site_hooks import on_page_content, site_address

from support.documents import REPOSITORY


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("src/gat_lightning/weighting/mgda.py#MGDA", "api/weighting.md#gat_lightning.MGDA"),
        ("src/gat_lightning/curvature/terms.py", "internals/curvature.md#gat_lightning.curvature.terms"),
        ("src/gat_lightning/__init__.pyi", "names.md"),
        ("src/gat_lightning/data/", "internals/data.md#gat_lightning.data"),
        ("conf/weighting/mgda_floor.yaml", "configuration/weighting.md#weighting-mgda-floor"),
        ("conf/hydra/launcher/", "configuration/hydra-launcher.md"),
        ("conf/train.yaml", "configuration/index.md#train"),
        ("SECURITY.md#downloads", "security.md#downloads"),
        ("docs/slurm.md#slurm", "slurm.md#slurm"),
        ("notebooks/3_inside_one_step.ipynb", "tutorials/inside-one-step.md"),
        ("tests/commands/test_train.py", None),
    ],
)
def test_paths_of_the_repository_are_found_on_the_site(path, address):
    assert site_address(path) == address


def test_long_names_in_tables_break_between_words():
    cell = "<td><code>data.root</code> <code>${data.root}/x.csv=0.125</code> a.b</td>"
    assert on_page_content(cell) == cell.replace("${data.root}/x.csv=0", "${data.<wbr>root}/<wbr>x.<wbr>csv=<wbr>0")


def test_names_break_between_words_where_they_are_longer_than_the_line_of_a_phone():
    text = "<code>evaluation=pgd20 attack.steps=10</code> <code>evaluation.first_order.largest_increase</code>"
    broken = "evaluation.<wbr>first_order.<wbr>largest_increase"
    assert on_page_content(text) == text.replace("evaluation.first_order.largest_increase", broken)


def test_blocks_of_code_stay_as_they_are():
    block = "<pre><span></span><code>python -m gat_lightning.train\n</code></pre>"
    assert on_page_content(block) == block


def test_cells_of_tables_keep_ranges_on_one_line_and_lose_escapes():
    text = "<p>from 1 to 2</p><td>73.8 (-1.0 to +9.9)</td><td>≥ 1.25</td><td><code>a\\|b</code></td>"
    shown = "<p>from 1 to 2</p><td>73.8 (-1.0&nbsp;to&nbsp;+9.9)</td><td>≥&nbsp;1.25</td><td><code>a|b</code></td>"
    assert on_page_content(text) == shown


def test_formulas_of_docstrings_become_fences_and_pictures():
    text = "Before.\n\n    .. math:: a \\le b\n          + c\n\n    After :math:`d`."
    assert "```math\n    a \\le b + c\n    ```" in as_markdown(text, None)
    assert 'After <svg class="formula" role="img" aria-label="d"' in as_markdown(text, None)


@pytest.mark.parametrize(
    "tex", [r"\lVert g \rVert \le \tfrac12 \textstyle\sum_k w_k", r"\mathbb{E}_x[\delta\mathcal{L}]"]
)
def test_a_formula_is_a_picture_with_its_source_in_words(tex):
    drawn = picture(tex)
    assert drawn.startswith("<svg")
    assert f'aria-label="{tex}"' in drawn
    assert 'fill="currentColor"' in drawn
    assert len(re.findall("M", drawn)) > 3


def test_a_formula_that_cannot_be_drawn_is_an_error():
    with pytest.raises(ValueError, match="nosuchcommand"):
        picture(r"\nosuchcommand")


def test_links_are_checked_by_the_build():
    settings = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
    pages, links = settings["validation"]["nav"], settings["validation"]["links"]
    assert set(pages) == {"omitted_files", "not_found", "absolute_links"}
    assert set(links) == {"not_found", "anchors", "absolute_links", "unrecognized_links"}
    assert {*pages.values(), *links.values()} == {"warn"}
    assert settings["theme"]["font"] is False
    assert "mkdocs build --strict" in (REPOSITORY / "Makefile").read_text()
