"""A command whose output nobody reads any more ends without a traceback."""

import io
import json
import logging
import os
import sys
from contextlib import contextmanager, redirect_stdout

import pytest

from gat_lightning.config.output import ending_with_its_reader, lines_named
from gat_lightning.runs.signals import Stopped
from gat_lightning.train import main as train
from support.training_runs import SHORT, TINY

AS_BY_SIGPIPE = 128 + 13


@contextmanager
def unread():
    """Standard output is a pipe whose reader has gone."""
    before, (reader, writer) = sys.stdout, os.pipe()
    os.close(reader)
    with open(writer, "w") as sys.stdout, open(os.devnull, "w") as nowhere:
        try:
            yield
        finally:
            os.dup2(nowhere.fileno(), writer)  # where the rest goes when it is closed
            sys.stdout = before


@pytest.mark.parametrize("size", [1, 100_000])
def test_little_and_much_output(size):
    with unread():
        with pytest.raises(Stopped) as stopped, ending_with_its_reader():
            print("x" * size)
        print("goes nowhere", flush=True)
    assert stopped.value.code == AS_BY_SIGPIPE


def test_an_error_is_not_hidden():
    with unread(), pytest.raises(ZeroDivisionError), ending_with_its_reader():
        print(1 / 0)


def test_the_streams_come_back_and_all_is_written(capsys):
    before = sys.stdout, sys.stderr
    with ending_with_its_reader():
        print("one", file=sys.stdout)
        print("two", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("one\n", "two\n")


def test_another_pipe_that_breaks_is_an_error():
    with pytest.raises(BrokenPipeError), ending_with_its_reader():
        raise BrokenPipeError


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["--version"]])
def test_help(monkeypatch, capfd, words):
    monkeypatch.setattr(sys, "argv", ["gat_lightning.train", *words])
    with unread(), pytest.raises(SystemExit) as stopped:
        train()
    assert stopped.value.code == AS_BY_SIGPIPE
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("undrawn")
def test_a_training_is_interrupted_as_by_a_signal(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ["experiment=quickstart", *TINY, *SHORT, "task=none", "weighting=mgda"]
    monkeypatch.setattr(sys, "argv", ["gat_lightning.train", *words])
    with unread(), pytest.raises(SystemExit) as stopped:
        train()
    assert stopped.value.code == AS_BY_SIGPIPE
    assert capfd.readouterr().err == ""
    (run,) = (tmp_path / "outputs").iterdir()
    assert json.loads((run / "result.json").read_text())["status"] == "interrupted"


def test_lines_of_a_named_run_begin_with_its_name(capsys, monkeypatch):
    log = logging.getLogger()
    monkeypatch.setattr(log, "handlers", [logging.StreamHandler(sys.stdout)])
    with lines_named("digits-1a2b3c4d"):
        print("epoch 1/2  3 s")
        print("a\n\nb", end="")
        print("c")
        log.warning("Two labels.")
        print("no end", end="", file=sys.stderr)
        assert not sys.stdout.isatty()
    print("after")
    log.warning("after too")
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "[digits-1a2b3c4d] epoch 1/2  3 s",
        "[digits-1a2b3c4d] a",
        "",
        "[digits-1a2b3c4d] bc",
        "[digits-1a2b3c4d] Two labels.",
        "after",
        "after too",
    ]
    assert said.err == "[digits-1a2b3c4d] no end\n"


def test_lines_of_named_runs_are_written_whole():
    class Calls(io.StringIO):
        def __init__(self):
            super().__init__()
            self.calls = []

        def write(self, text):
            self.calls.append(text)
            return len(text)

    with redirect_stdout(Calls()) as stream, lines_named("x"):
        for word in ("a", "b\n", "c\nd", "\n"):
            sys.stdout.write(word)
            sys.stdout.flush()
    assert stream.calls == ["[x] ab\n", "[x] c\n", "[x] d\n"]
