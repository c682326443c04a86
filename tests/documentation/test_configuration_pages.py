"""The configuration reference has every option and setting that can be typed, and an example for each option."""

import re
import shlex

import pytest
from configuration_examples import example
from configuration_pages import anchor_of, groups, is_internal, page_of, pages

from gat_lightning.config.documented import read_option
from gat_lightning.config.files import find_conf
from gat_lightning.info import BINARY_LABELS
from support.typed_commands import NAMES, composed

CONF = find_conf()
REFERENCE = pages(CONF)
FILES = [path.relative_to(CONF) for path in sorted(CONF.rglob("*.yaml"))]
SHOWN = [path for path in FILES if not is_internal(path.parent.as_posix())]
OPTIONS = [(path.parent.as_posix(), path.stem) for path in SHOWN if path.parent.name]


@pytest.mark.parametrize("path", SHOWN, ids=str)
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
        assert f"| `{setting.path}` |" in page or f"`{setting.path}={setting.default}`" in page


def test_what_nobody_selects_is_left_out():
    hidden = {path.parent.as_posix() for path in set(FILES) - set(SHOWN)}
    assert {"hydra", "recipe", "recipe/arm"} <= hidden
    assert all(name == "hydra" or name.split("/")[0] == "recipe" for name in hidden)
    assert not [name for name in REFERENCE if name == "hydra.md" or name.startswith("recipe")]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids="/".join)
def test_every_option_has_an_example(group, option):
    lines = example(group, option)
    assert f"\n```bash\n{lines}\n```\n" in REFERENCE[page_of(group)]
    assert option in lines or option in ("default", "processes")
    assert all(len(line) < 80 for line in lines.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(("group", "option"), OPTIONS, ids="/".join)
def test_the_example_composes(group, option):
    _, _, module, *words = shlex.split(example(group, option).replace("\\\n", ""))
    assert composed(NAMES[module], words)


def test_options_with_numbers_are_in_their_order():
    page = REFERENCE[page_of("experiment/paper")]
    assert page.index("## table2 ") < page.index("## table10 ")


def test_every_group_says_what_it_selects():
    described = re.findall(r"^\| \[`([\w/]+)`\]\([\w-]+\.md\) \| (.*?)<br>\[", REFERENCE["index.md"], re.MULTILINE)
    assert {name for name, words in described if words} == {name for name in groups(CONF) if not is_internal(name)}


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


def test_long_tables_are_folded_and_stand_below_the_words_and_the_example(tmp_path):
    rows = "".join(f"# Number {number}.\nx{number}: {number}\n" for number in range(6))
    for group, settings in (("long", rows), ("short", "# One.\nx: 1\ny: 2\n")):
        (tmp_path / group).mkdir()
        (tmp_path / group / "option.yaml").write_text(f"# About it. More of it.\n\n{settings}")
    for name in ("train", "evaluate", "report", "compare", "export", "statistics"):
        (tmp_path / f"{name}.yaml").write_text("# A command: more.\nz: 0\n")
    made = pages(tmp_path)
    places = [made["long.md"].index(part) for part in ("| About it. |", "## option", "More of it.", "```bash", "???")]
    assert places == sorted(places)
    assert '\n??? note "6 settings"\n\n    | setting |' in made["long.md"]
    assert made["short.md"].endswith("| `short.x` | `1` | One. |\n\nSets `short.y=2`.\n")


def test_names_in_comments_stay_as_they_are_and_pages_are_linked():
    assert "model.\\_target\\_=torchvision" in REFERENCE["index.md"]
    assert "See [docs/slurm.md](../slurm.md)." in REFERENCE[page_of("hydra/launcher")]


def test_every_option_of_the_launcher_has_a_meaning():
    option = read_option(CONF / "hydra" / "launcher" / "slurm.yaml", "hydra.launcher")
    assert len(option.settings) > 10
    assert not [setting.path for setting in option.settings if not setting.meaning]
