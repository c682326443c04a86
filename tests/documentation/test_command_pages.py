"""The page of the commands has each ``--help`` as it is printed."""

import importlib.util
import re

import command_pages
import pytest

from support.documents import REPOSITORY


def test_every_command_of_the_package_is_on_the_page():
    package = REPOSITORY / "src" / "gat_lightning"
    started = {path for path in package.rglob("*.py") if '__name__ == "__main__"' in path.read_text()}
    named = {words[0] for words in command_pages.COMMANDS.values()}
    found = {".".join(path.relative_to(package.parent).with_suffix("").parts) for path in started}
    assert {name.removesuffix(".__main__") for name in found} == named
    assert all(importlib.util.find_spec(name) for name in named)


def test_help_is_what_a_command_prints():
    text = command_pages.help_of(["gat_lightning.demo"])
    assert "python -m gat_lightning.demo" in text
    assert not re.search(r"\x1b|\.\.\. ", text)


def test_a_command_without_help_stops_the_build(tmp_path, monkeypatch):
    (tmp_path / "broken_command.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Exception, match="status 3"):
        command_pages.help_of(["broken_command"])


def test_a_long_list_of_settings_is_folded_and_a_short_one_is_not(monkeypatch):
    few, many = ("".join(f"\nkey{number}: 0" for number in range(count)) for count in (3, 60))
    monkeypatch.setattr(command_pages, "COMMANDS", {"short": [few], "long": [many]})
    monkeypatch.setattr(command_pages, "help_of", lambda words: f"Usage\n\nEvery setting (KEY=VALUE)\n{words[0]}")
    short, long = command_pages.page().split("\n## long\n")
    assert short.endswith("Usage\n\nEvery setting (KEY=VALUE)\n\nkey0: 0\nkey1: 0\nkey2: 0\n```\n")
    assert 'Usage\n```\n\n??? note "Every setting (KEY=VALUE)"\n\n    ```text\n    key0: 0\n' in long
