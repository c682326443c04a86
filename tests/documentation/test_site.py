"""The static site: what is made of the YAML files and docstrings is whole, and it builds without a warning."""

import re

import pytest
import yaml
from api_pages import pages as api_pages
from api_pages import public_names
from configuration_pages import anchor_of, page_of, pages, read_option
from docstring_roles import as_markdown
from formulas import picture
from site_hooks import site_address

import gat_lightning
from gat_lightning.config.files import find_conf
from gat_lightning.info import BINARY_LABELS
from support.documents import REPOSITORY

CONF = find_conf()
REFERENCE = pages(CONF)
OPTIONS = [path.relative_to(CONF) for path in sorted(CONF.rglob("*.yaml"))]


@pytest.mark.parametrize("path", OPTIONS, ids=str)
def test_every_option_and_every_setting_is_in_the_reference(path):
    group, name = path.parent.as_posix(), path.stem
    page = REFERENCE["index.md" if group == "." else page_of(group)]
    if group == ".":
        assert f"## {name} {{#{name}}}" in page
    else:
        assert f"{{#{anchor_of(group, name)}}}" in page
        assert f"]({page_of(group)}#{anchor_of(group, name)})" in REFERENCE["index.md"]
    option = read_option(CONF / path, "" if group == "." else group.replace("/", "."))
    assert option.about
    for setting in option.settings:
        assert f"| `{setting.path}` |" in page


def test_every_label_that_is_a_task_is_in_the_reference():
    page = REFERENCE[page_of("task")]
    assert "`task.edema.pos_weight`" in page
    for labels in BINARY_LABELS.values():
        assert f"| {', '.join(f'`{name}`' for name in labels)} |" in page


def test_a_comment_is_the_description_and_the_value_the_default(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "# What it is,\n# in two lines.\n_target_: some.Thing\ndefaults: [base, override /task: macro]\n"
        "# One | two.\na: 0.5\n# Many:\nb:\n  # of them.\n  c: [1, 2]\n  d: null\ne: ${a}\n"
    )
    option = read_option(tmp_path / "x.yaml", "group")
    assert (option.about, option.target) == ("What it is, in two lines.", "some.Thing")
    assert option.choices == ["base", "task=macro"]
    found = [(each.path, each.default, each.meaning) for each in option.settings]
    assert found == [
        ("group.a", "0.5", "One | two."), ("group.b", None, "Many:"), ("group.b.c", "[1, 2]", "of them."),
        ("group.b.d", "null", ""), ("group.e", "${a}", ""),
    ]  # fmt: skip


def test_a_global_file_has_no_prefix(tmp_path):
    (tmp_path / "x.yaml").write_text("# @package _global_\n# About.\ntrainer:\n  max_epochs: 3\n")
    option = read_option(tmp_path / "x.yaml", "experiment")
    assert option.about == "About."
    assert [each.path for each in option.settings] == ["trainer.max_epochs"]


def test_every_public_module_has_a_page():
    text = "\n".join(api_pages(REPOSITORY / "src" / "gat_lightning").values())
    for path in (REPOSITORY / "src" / "gat_lightning").rglob("*.py"):
        parts = path.relative_to(REPOSITORY / "src").with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            assert f"::: {'.'.join(parts)}\n" in text


def test_every_page_of_the_api_says_what_it_has():
    pages = api_pages(REPOSITORY / "src" / "gat_lightning")
    described = re.findall(r"^\| \[`(\w+)`\].* \| (.*) \|$", pages.pop("index.md"), re.MULTILINE)
    assert {name for name, _ in described} == {page.removesuffix(".md") for page in pages}
    assert not [name for name, words in described if not words.strip()]


def test_every_public_name_has_a_line_of_its_own():
    page = public_names(REPOSITORY / "src" / "gat_lightning")
    listed = re.findall(r"^- \[`(\w+)`\]\[gat_lightning[\w.]+\]: \S.+$", page, re.MULTILINE)
    assert sorted(listed) == sorted(gat_lightning.__all__)


def test_every_option_of_the_launcher_has_a_meaning():
    option = read_option(CONF / "hydra" / "launcher" / "slurm.yaml", "hydra.launcher")
    assert len(option.settings) > 10
    assert not [setting.path for setting in option.settings if not setting.meaning]


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("src/gat_lightning/weighting/mgda.py#MGDA", "api/weighting.md#gat_lightning.weighting.mgda.MGDA"),
        ("src/gat_lightning/curvature/terms.py", "api/curvature.md#gat_lightning.curvature.terms"),
        ("src/gat_lightning/__init__.pyi", "names.md"),
        ("src/gat_lightning/data/", "api/data.md#gat_lightning.data"),
        ("conf/weighting/mgda_floor.yaml", "configuration/weighting.md#weighting-mgda-floor"),
        ("conf/hydra/launcher/", "configuration/hydra-launcher.md"),
        ("conf/train.yaml", "configuration/index.md#train"),
        ("SECURITY.md#downloads", "security.md#downloads"),
        ("docs/slurm.md#slurm", "slurm.md#slurm"),
        ("tests/commands/test_train.py", None),
    ],
)
def test_paths_of_the_repository_are_found_on_the_site(path, address):
    assert site_address(path) == address


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
