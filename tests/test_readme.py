"""The README's Python examples run, and the options it lists are those that exist."""

import re
from pathlib import Path

import pytest

from gat_lightning.assembly import find_conf

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text()
SNIPPETS = [code for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "load_classifier" not in code]


@pytest.mark.parametrize("code", SNIPPETS, ids=[code.splitlines()[0] for code in SNIPPETS])
def test_snippets_run(code, capsys):
    exec(compile(code, str(README), "exec"), {})
    assert "class/adv" in capsys.readouterr().out


@pytest.mark.parametrize("group", ["data", "task", "method", "weighting", "attack", "encoder"])
def test_every_option_is_listed(group):
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{group}` |"))
    for path in (find_conf() / group).glob("*.yaml"):
        assert f"`{path.stem}`" in row, path.stem


def test_files_that_it_shows_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / target).exists(), target
