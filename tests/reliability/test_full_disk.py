"""A disk that fills up in the middle of a training: one message, and what was saved before is there to go on from."""

import contextlib
import errno
import os

import pytest

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.config.messages import explain, is_for_user
from gat_lightning.errors import UserError
from gat_lightning.loggers import CSVLogger
from gat_lightning.runs.result import TrainingResult, write_result
from support.processes import assert_same_end, finished, only_run, start, wait_for
from support.training_runs import trained

SETTINGS = ["trainer.max_epochs=4"]


def fill(folder):
    """All that is left."""
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@pytest.mark.slow
def test_a_disk_that_fills_up_in_training(tmp_path, small_disk):
    whole, output = tmp_path / "whole", tmp_path / "log"
    settings = [*SETTINGS, f"paths.output={small_disk / 'outputs'}"]
    process = start(output, *settings)
    wait_for(lambda: any(small_disk.glob("outputs/*/checkpoints/last.ckpt.previous")), process)
    fill(small_disk)
    assert finished(process, output) == 1
    log = (output / "log.txt").read_text()
    assert "Traceback" not in log
    (said,) = (line for line in log.splitlines() if line.startswith("Error: "))
    assert "No space left on device" in said
    run = only_run(small_disk)
    assert load_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] > 0
    (small_disk / "filler").unlink()
    assert finished(start(output, *settings, "resume=auto"), output) == 0, (output / "log.txt").read_text()
    assert finished(start(whole, *SETTINGS), whole) == 0
    assert_same_end(only_run(whole), run)


def test_no_room_for_the_log(tmp_path, monkeypatch):
    def full(self, metrics, step=None):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CSVLogger, "log_metrics", full)
    with pytest.raises(UserError, match=r"No space left for '.*'\. Free some, then continue with resume=auto"):
        trained(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_anything_else_is_told_without_a_traceback(number):
    full = OSError(number, os.strerror(number), "outputs/.sweeps/x.json")
    assert is_for_user(full)
    assert explain(full).endswith("'outputs/.sweeps/x.json'. Set paths.output=FOLDER to where files may be written.")
    assert not is_for_user(OSError(errno.EIO, os.strerror(errno.EIO)))


def test_no_room_for_the_result(small_disk):
    write_result(small_disk, TrainingResult(config={}))
    fill(small_disk)
    before = (small_disk / "result.json").read_text()
    with pytest.raises(UserError, match=r"result\.json' could not be written \(No space left on device\)"):
        write_result(small_disk, TrainingResult(status="finished", config={"text": "x" * 10_000}))
    assert (small_disk / "result.json").read_text() == before
