"""A signal to stop becomes a checkpoint, and the run that goes on from it is the undisturbed one."""

import itertools
import json
import multiprocessing
import os
import signal
import time

import pytest

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.data.dataset import SplitDataset
from gat_lightning.runs.signals import SIGNALS, Stopped, StopSignals, was_requeued
from gat_lightning.training.callbacks.last_checkpoint import LastCheckpoint
from support.signals import signalled
from support.training_runs import SHORT, assert_same_run, trained


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("place", "steps"),
    [
        ("place: batch, epoch: 1, batch: 2", 5 + 3),
        ("place: batch, epoch: 0, batch: 4", 5),
        pytest.param("place: validation, epoch: 0", 5, marks=pytest.mark.slow),
        pytest.param("place: validation, epoch: 1", 5 + 5, marks=pytest.mark.slow),
    ],
    ids=["within an epoch", "last batch", "validation", "last validation"],
)
def test_a_signal_saves_and_the_requeued_run_equals_the_undisturbed_one(
    quickstart, tmp_path, monkeypatch, place, steps
):
    number = signal.SIGUSR2 if "validation" in place else signal.SIGTERM
    handlers = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(Stopped) as stopped:
        trained(tmp_path, signalled(number, place))
    assert stopped.value.code == 128 + number
    assert [signal.getsignal(each) for each in SIGNALS] == handlers
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "interrupted"
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == steps
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    trained(tmp_path)
    assert_same_run(quickstart[0], tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_signal_stops_epochs_of_one_batch_and_the_resumed_run_equals_the_undisturbed_one(tmp_path):
    settings = [*SHORT, "trainer.max_epochs=3", "+trainer.limit_train_batches=1", "validation.images=16"]
    trained(tmp_path / "whole", *settings)
    with pytest.raises(Stopped):
        trained(tmp_path / "stopped", *settings, signalled(signal.SIGTERM, "place: batch, epoch: 0, batch: 0"))
    last = load_checkpoint(tmp_path / "stopped" / "checkpoints" / "last.ckpt")
    assert (last["epoch"], last["global_step"]) == (0, 1)
    assert (tmp_path / "stopped" / "checkpoints" / "best.ckpt").is_file()
    trained(tmp_path / "stopped", *settings, "resume=auto")
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def loader_that_dies(monkeypatch, batch):
    """Lets the process that loads a batch of training have its parent stopped, and die, once the others are used."""
    parent, used, loaded = os.getpid(), multiprocessing.Value("i", 0), itertools.count()
    load, end = SplitDataset.stored, LastCheckpoint.on_train_batch_end

    def deadly(self, request, names=None):
        if os.getpid() != parent and len(request[0]) == 64 and next(loaded) == batch:
            while used.value < batch:
                time.sleep(0.02)
            time.sleep(0.3)
            os.kill(parent, signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGKILL)
        return load(self, request, names)

    def counted(self, *arguments):
        end(self, *arguments)
        used.value += 1

    monkeypatch.setattr(SplitDataset, "stored", deadly)
    monkeypatch.setattr(LastCheckpoint, "on_train_batch_end", counted)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_loader_that_dies_after_the_signal_is_a_stop(quickstart, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        loader_that_dies(patch, batch=3)
        with pytest.raises(Stopped) as stopped:
            trained(tmp_path, "data.workers=1")
    assert stopped.value.number == signal.SIGTERM
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "interrupted"
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 3
    trained(tmp_path, "resume=auto")
    assert_same_run(quickstart[0], tmp_path)


@pytest.mark.parametrize(("count", "requeued"), [(None, False), ("", False), ("0", False), ("1", True), ("12", True)])
def test_what_slurm_starts_again_is_known(monkeypatch, count, requeued):
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    if count is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", count)
    assert was_requeued() is requeued


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_are_remembered_only_between_listen_and_restore(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append("outside"))
    try:
        signals = StopSignals()
        signal.raise_signal(number)
        signals.listen()
        signal.raise_signal(number)
        assert (signals.received, heard) == (number, ["outside"])
        signals.restore()
        signal.raise_signal(number)
        assert heard == ["outside", "outside"]
    finally:
        signal.signal(number, before)
