"""Measurements that raise, hang, or end their process are findings, and what follows is found too."""

import json
import os
import time
from functools import partial

import pytest
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.session import Item, Session

from support import planted_items as planted


def item(measure, name="it", seconds=0.0, limit=60.0, **settings):
    return Item("planted", name, measure, seconds, limit, **settings)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "gpu.jsonl")


@pytest.fixture
def session(tmp_path, journal):
    opened = Session(journal, tmp_path / "gpu.log", 60)
    yield opened
    opened.close()


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("measure", "error"),
    [
        (planted.raises, "ValueError: no such figure"),
        (planted.leaves, "SystemExit: 3"),
        (planted.runs_out_of_memory, "the process ended with SIGKILL"),
        (planted.crashes, "the process ended with code 7"),
    ],
)
def test_a_failure_is_a_finding_and_what_follows_is_found_too(tmp_path, session, measure, error):
    session.measure_all([item(measure), item(partial(planted.figure, 2), "right")])
    wrong, right = lines(tmp_path)
    assert (wrong["ok"], wrong["error"]) == (False, error)
    assert (right["ok"], right["figure"]) == (True, 2)


def test_a_failure_shows_where(tmp_path, session):
    session.measure(item(planted.raises))
    assert "planted_items.py" in lines(tmp_path)[0]["where"]


@pytest.mark.slow
def test_an_item_that_hangs_is_ended_with_its_children_and_shows_its_stack(tmp_path, session):
    child = tmp_path / "child"
    began = time.monotonic()
    session.measure_all([item(partial(planted.hangs, child), limit=2), item(partial(planted.figure, 2), "right")])
    assert time.monotonic() - began < 20
    wrong, right = lines(tmp_path)
    assert (wrong["ok"], wrong["error"]) == (False, "took more than 2 s")
    assert "in hangs" in wrong["where"]
    assert right["ok"]
    assert not is_running(int(child.read_text()))


def test_items_share_a_process_until_one_fails(tmp_path, session):
    marks = [tmp_path / name for name in "abc"]
    first, second, third = (item(partial(planted.marked, mark), mark.name) for mark in marks)
    session.measure_all([first, second, item(planted.raises, "wrong"), third])
    a, b, c = (int(mark.read_text()) for mark in marks)
    assert a == b != c
    assert os.getpid() not in (a, c)


@pytest.mark.slow
def test_the_time_budget_bounds_an_item_which_is_then_missing_and_not_wrong(tmp_path, journal):
    session = Session(journal, tmp_path / "gpu.log", 2)
    later = item(partial(planted.figure, 1), "later", seconds=1)
    session.measure_all([item(partial(planted.hangs, tmp_path / "child")), later])
    session.close()
    cut, late = lines(tmp_path)
    assert cut["skipped"] == "no time left after 2 s"
    assert late["skipped"] == "0 s left, 1 s needed"
    assert [journal.found(("planted", name)) for name in ("it", "later")] == [None, None]


def test_an_item_that_cannot_be_measured_here_says_why(tmp_path, session):
    session.measure(item(planted.raises, obstacle="needs --data FILE"))
    assert lines(tmp_path) == [{"phase": "planted", "name": "it", "skipped": "needs --data FILE"}]


def test_a_later_call_measures_what_is_missing_and_then_what_failed(tmp_path, journal, session):
    journal.say("planted", "found", ok=True, figure=1)
    journal.say("planted", "failed", ok=False, seconds=1.0, error="E", where="")
    journal.say("planted", "skipped", skipped="no time")
    again = Journal(tmp_path / "gpu.jsonl")
    session = Session(again, tmp_path / "gpu.log", 60)
    names = ("failed", "found", "skipped", "new")
    session.measure_all([item(partial(planted.figure, 2), name) for name in names])
    session.close()
    assert [line["name"] for line in lines(tmp_path)[3:]] == ["skipped", "new", "failed"]
    assert again.lines["planted", "found"]["figure"] == 1


def test_a_line_that_was_cut_off_is_removed(tmp_path, journal):
    journal.say("planted", "whole", ok=True)
    with (tmp_path / "gpu.jsonl").open("a") as file:
        file.write('{"phase": "planted", "na')
    again = Journal(tmp_path / "gpu.jsonl")
    again.say("planted", "next", ok=True)
    assert [line["name"] for line in lines(tmp_path)] == ["whole", "next"]
    assert again.found(("planted", "whole"))
