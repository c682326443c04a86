"""A run that is killed again and again, and goes on each time, ends as the run that nobody touched."""

import random
import shutil
import signal
from functools import partial

import pytest

from gat_lightning.config.resuming import whole_checkpoint
from gat_lightning.runs.result import read_result
from support.processes import assert_same_end, die_in, die_writing, finished, only_run, start

MOMENTS = 30
"""How often; a third of them in the middle of writing a checkpoint."""


SETTINGS = ["trainer.max_epochs=4", "data.fraction=0.3"]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Directory of the run that nobody touched."""
    output = tmp_path_factory.mktemp("whole")
    assert finished(start(output, *SETTINGS), output) == 0, (output / "log.txt").read_text()
    return only_run(output)


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert finished(start(whole, *SETTINGS), whole) == 0, (whole / "log.txt").read_text()
    length = read_result(only_run(whole)).durations["total"]

    draw = random.Random(0)
    kills = writing = complete = 0
    seen = set()
    while kills < MOMENTS:
        middle = draw.randrange(1, 5) if kills % 3 == 2 else None
        process = start(killed, *SETTINGS, "resume=auto", before=middle and partial(die_writing, middle))
        process.join(300 if middle else draw.uniform(0, length))
        if process.exitcode is None:
            process.kill()
            process.join()
        if process.exitcode == 0:
            assert_same_end(only_run(whole), only_run(killed))
            shutil.rmtree(killed)
            complete += 1
            continue
        assert process.exitcode == -signal.SIGKILL, (killed / "log.txt").read_text()[-3000:]
        kills += 1
        writing += middle is not None
        for last in killed.glob("outputs/*/checkpoints/last.ckpt"):
            assert whole_checkpoint(last) == last
            seen.add(last.stat().st_mtime_ns)
    assert finished(start(killed, *SETTINGS, "resume=auto"), killed) == 0
    assert_same_end(only_run(whole), only_run(killed))
    assert read_result(only_run(killed)).status == "finished"
    assert "Going on from the one before it" not in (killed / "log.txt").read_text()
    print(f"{kills} kills, {writing} while writing, {complete + 1} runs finished, {len(seen)} checkpoints gone on from")


@pytest.mark.slow
@pytest.mark.parametrize(
    "hook",
    [
        "on_train_batch_start",
        "on_validation_epoch_start",
        "validation_step",
        "on_validation_epoch_end",
        "on_test_epoch_start",
        "test_step",
    ],
)
def test_killed_at_each_stage_and_resumed(tmp_path, whole_run, hook):
    epoch = 4 if "test" in hook else 1
    killed = start(tmp_path, *SETTINGS, before=partial(die_in, hook, epoch))
    assert finished(killed, tmp_path) == -signal.SIGKILL
    assert finished(start(tmp_path, *SETTINGS, "resume=auto"), tmp_path) == 0
    assert_same_end(whole_run, only_run(tmp_path))
