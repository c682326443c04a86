"""Text on the terminal and in gat.log."""

import pytest

from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.telling import WIDTH, duration, fitted, itemized, listed, shown, tell


def test_what_is_told_is_printed_and_kept_after_what_is_there(tmp_path, capsys):
    directory = RunDirectory(tmp_path / "run")
    tell(directory, "one")
    tell(directory, "two\nlines")
    assert capsys.readouterr().out == directory.log.read_text() == "one\ntwo\nlines\n"


def test_no_line_is_longer_than_its_width_and_nothing_is_lost():
    words = [f"word{number}" for number in range(200)]
    for text in (listed("Title", {"a": " ".join(words), "longer": "b"}), itemized("Title", [" ".join(words), "b"])):
        assert max(map(len, text.splitlines())) <= WIDTH
        assert [word for word in text.split() if word.startswith("word")] == words


def test_a_fitted_line_says_how_many_parts_it_left_out():
    parts = [f"objective{number} 0.123" for number in range(9)]
    for count in range(10):
        line = fitted("epoch 1/2  3 s", parts[:count])
        kept = sum(part in line for part in parts)
        assert len(line) <= WIDTH
        assert line.endswith(f"+{count - kept} more") == (kept < count)
    assert kept >= 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0.4 s"), (45, "45 s"), (192, "3.2 min"), (3540, "59.0 min"), (5400, "1.5 h"), (4_442_400, "1,234 h")],
)
def test_times_are_in_the_unit_that_suits_them(seconds, text):
    assert duration(seconds) == text


def test_paths_inside_the_current_folder_are_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(shown(tmp_path / "outputs" / "x")) == "outputs/x"
    assert shown(tmp_path.parent) == tmp_path.parent
