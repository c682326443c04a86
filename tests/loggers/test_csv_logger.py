"""metrics.csv: nothing lost, nothing half-written, whatever stops the run."""

import csv
import os
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.errors import UserError
from gat_lightning.loggers import CSVLogger
from gat_lightning.loggers import csv as module

NAMES = ["objective/class/adv", "cosine/class/adv|class/clean", 'with "quotes", and commas', "ε", "val/selection"]


def read(directory):
    path = directory / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    columns = lines[0]
    assert columns[:2] == ["epoch", "step"]
    assert len(set(columns)) == len(columns)
    assert all(len(line) == len(columns) for line in lines)
    return [dict(zip(columns, line, strict=True)) for line in lines[1:]]


def filled(rows):
    return [{name: float(value) for name, value in row.items() if value != ""} for row in rows]


def logged(logger, *rows):
    for step, metrics in rows:
        logger.log_metrics(metrics, step)


values = st.floats(allow_nan=False) | st.integers(-(10**6), 10**6).map(float)
metrics = st.dictionaries(st.sampled_from(NAMES), values, min_size=1)
operations = st.lists(
    st.tuples(st.just("log"), metrics, st.integers(0, 2))
    | st.tuples(st.just("reopen"))
    | st.tuples(st.just("truncate"), st.integers(-1, 12)),
    max_size=25,
)


@pytest.mark.slow
@given(operations)
def test_file_holds_what_was_logged_and_not_cut_off(tmp_path_factory, operations):
    directory = tmp_path_factory.mktemp("csv")
    logger, expected, step = CSVLogger(directory), [], 0
    for operation, *arguments in operations:
        if operation == "log":
            row, advance = arguments
            step += advance
            logger.log_metrics({**row, "epoch": 1}, step)
            expected.append({**row, "epoch": 1, "step": step})
        elif operation == "reopen":
            logger = CSVLogger(directory)
        else:
            (after,) = arguments
            logger = CSVLogger(directory)
            logger.truncate(after)
            beyond = [position for position, row in enumerate(expected) if row["step"] > after]
            expected = expected[: beyond[0] if beyond else None]
            step = after + 1
        assert filled(read(directory)) == expected


def test_columns_keep_the_order_in_which_they_appeared(tmp_path):
    logger = CSVLogger(tmp_path)
    logged(logger, (1, {"b": 1.0, "epoch": 0.0, "a": 2.0}), (2, {"c": 3.0, "a": 4.0}))
    logged(CSVLogger(tmp_path), (3, {"d": 5.0}))
    assert (tmp_path / "metrics.csv").read_text() == "epoch,step,b,a,c,d\n0,1,1.0,2.0,,\n,2,,4.0,3.0,\n,3,,,,5.0\n"


def test_numbers_read_back_equal(tmp_path):
    value = 0.1 + 0.2
    logger = CSVLogger(tmp_path)
    logger.log_metrics(
        {"a": value, "b": torch.tensor(2.5), "c": np.float64(value), "d": float("nan"), "e": 1e-300}, None
    )
    (row,) = filled(read(tmp_path))
    assert row["a"] == row["c"] == value
    assert (row["b"], row["e"], row["step"]) == (2.5, 1e-300, 0)
    assert np.isnan(row["d"])


def test_every_row_is_on_disk_at_once_and_only_new_columns_make_a_new_file(tmp_path, monkeypatch):
    replacements = []
    original = CSVLogger._replace
    monkeypatch.setattr(CSVLogger, "_replace", lambda self, *a: (replacements.append(1), original(self, *a)))
    logger = CSVLogger(tmp_path)
    for step in range(2000):
        logger.log_metrics({"loss": 1.0} if step % 100 else {"val/selection": 1.0}, step)
    assert len(replacements) == 2
    assert len(read(tmp_path)) == 2000


def test_a_reader_sees_only_whole_files(tmp_path):
    logger, done, problems = CSVLogger(tmp_path), threading.Event(), []

    def look():
        seen = 0
        while not done.is_set():
            try:
                path = tmp_path / "metrics.csv"
                header, *rows = path.read_bytes().split(b"\n")[:-1] if path.exists() else [b"epoch,step"]
                assert header.startswith(b"epoch,step")
                assert all(row.count(b",") == header.count(b",") for row in rows)
                assert len(rows) >= seen
                seen = len(rows)
            except AssertionError as error:
                problems.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for step in range(400):
        logger.log_metrics({f"column {step // 20}": 1.0, "same": 2.0}, step)
    done.set()
    reader.join()
    assert not problems
    assert len(read(tmp_path)) == 400


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_stop_within_a_rewrite_leaves_the_old_file(tmp_path, monkeypatch, moment):
    logged(CSVLogger(tmp_path), (1, {"a": 1.0}))
    before = (tmp_path / "metrics.csv").read_bytes()

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", stop) if moment == "fsync" else (module.Path, "replace", stop)))
        with pytest.raises(KeyboardInterrupt):
            logged(CSVLogger(tmp_path), (2, {"b": 1.0}))
    assert (tmp_path / "metrics.csv").read_bytes() == before
    logged(CSVLogger(tmp_path), (2, {"c": 1.0}))
    assert filled(read(tmp_path)) == [{"step": 1, "a": 1}, {"step": 2, "c": 1}]


@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize("cut", range(1, 32))
def test_a_line_that_a_killed_process_left_unfinished_is_dropped(tmp_path, cut, truncates):
    logged(CSVLogger(tmp_path), (1, {"loss": 1.25}), (2, {"loss": 2.5}))
    path = tmp_path / "metrics.csv"
    left = path.read_bytes()[:-cut]
    path.write_bytes(left)
    logger = CSVLogger(tmp_path)
    if truncates:
        logger.truncate(2)
    logged(logger, (3, {"loss": 3.0}))
    whole_lines = left.count(b"\n")
    assert filled(read(tmp_path)) == [
        *[{"step": 1, "loss": 1.25}, {"step": 2, "loss": 2.5}][: max(whole_lines - 1, 0)],
        {"step": 3, "loss": 3},
    ]


def training(logger, first, last, per_epoch=5, every=1):
    """The rows of a run in the order in which Lightning logs them; a validation carries the step before."""
    for step in range(first, last + 1):
        if step % every == 0:
            logger.log_metrics({"loss": float(step), "epoch": (step - 1) // per_epoch}, step)
        if step % per_epoch == 0:
            validation(logger, step, per_epoch)


def validation(logger, step, per_epoch=5):
    logger.log_metrics({"val/selection": float(step), "epoch": step // per_epoch - 1}, step - 1)
    logger.log_metrics({"share": float(step)}, step)


@pytest.mark.parametrize("every", [1, 2, 10])
@pytest.mark.parametrize("killed_at", range(1, 16))
def test_a_resumed_run_has_the_rows_of_an_undisturbed_one(tmp_path, killed_at, every):
    training(CSVLogger(tmp_path / "whole"), 1, 15, every=every)
    for checkpoint in range(killed_at + 1):
        directory = tmp_path / str(checkpoint)
        training(CSVLogger(directory), 1, killed_at, every=every)
        resumed = CSVLogger(directory)
        resumed.begin({}, checkpoint)
        training(resumed, checkpoint + 1, 15, every=every)
        whole, joined = read(tmp_path / "whole"), read(directory)
        assert filled(joined) == filled(whole), checkpoint


def test_a_validation_that_the_checkpoint_did_not_know_of_is_not_there_twice(tmp_path):
    training(CSVLogger(tmp_path / "whole"), 1, 15)
    training(CSVLogger(tmp_path / "cut"), 1, 10)
    resumed = CSVLogger(tmp_path / "cut")
    resumed.begin({}, 10)  # saved after the last batch of the epoch, before its validation
    validation(resumed, 10)
    training(resumed, 11, 15)
    assert read(tmp_path / "cut") == read(tmp_path / "whole")


def test_equal_rows_of_one_step_are_told_from_repetitions(tmp_path):
    logger = CSVLogger(tmp_path)
    logged(logger, (10, {"test/clean/accuracy": 0.5}), (10, {"test/clean/accuracy": 0.6}))
    assert len(read(tmp_path)) == 2
    resumed = CSVLogger(tmp_path)
    resumed.begin({}, 10)
    logged(resumed, *2 * [(10, {"test/clean/accuracy": 0.5})], (10, {"test/clean/accuracy": 0.7}))
    assert [row["test/clean/accuracy"] for row in read(tmp_path)] == ["0.5", "0.6", "0.7"]


def test_a_run_that_begins_takes_nothing_over(tmp_path):
    logged(CSVLogger(tmp_path), (0, {"old": 1.0}))
    logger = CSVLogger(tmp_path)
    logger.begin({}, None)
    assert not (tmp_path / "metrics.csv").exists()
    logged(logger, (0, {"new": 1.0}))
    assert read(tmp_path) == [{"epoch": "", "step": "0", "new": "1.0"}]


def test_truncating_nothing_is_fine(tmp_path):
    CSVLogger(tmp_path / "absent").truncate(3)
    (tmp_path / "metrics.csv").write_text("")
    CSVLogger(tmp_path).truncate(3)
    assert read(tmp_path) == []


def test_a_foreign_file_is_not_touched(tmp_path):
    (tmp_path / "metrics.csv").write_text("my,own\n1,2\n")
    with pytest.raises(UserError, match="move it away"):
        CSVLogger(tmp_path).begin({}, None)
    assert (tmp_path / "metrics.csv").read_text() == "my,own\n1,2\n"
