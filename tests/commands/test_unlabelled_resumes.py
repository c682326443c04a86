"""Interrupted runs on images without labels end as undisturbed ones, in every mode, in one process and in two."""

from pathlib import Path

import pytest
import torch

import support
from gat_lightning.commands.train.run import run
from gat_lightning.config.build import build_data
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.training.given_labels import read_labels
from support.commands import command
from support.configurations import composed
from support.interrupting import Interrupt, interrupt
from support.training_runs import TINY, assert_same_run, leave_out_picture, tiny, trained

GIVEN = "unlabeled.teacher={model: {_target_: support.nearest_digits.NearestDigit}, normalize: data}"
SHORT = (
    *("task=rotation", "weighting=mgda_floor", "curvature.mode=off", "data.unlabeled=rest", "data.fraction=0.05"),
    *("data.epoch_images=256", "trainer.max_epochs=2", "unlabeled.teacher_epochs=2", "unlabeled.ramp=0.9"),
    *("+trainer.limit_test_batches=1", "validation.images=16", "attack.steps=1", "engine.micro_batch=24"),
    *("augment=standard", "callbacks=default+ema", "callbacks.last.minutes=0"),
)
STEPS = 4
"""Of an epoch."""
MODES = {
    "standard": ("unlabeled.mode=pseudo_label",),
    "ema": ("unlabeled.mode=pseudo_label", "unlabeled.teacher=ema", "augment=cutmix"),
    "given": ("unlabeled.mode=pseudo_label", GIVEN, "unlabeled.soft=true", "unlabeled.weight=0.5"),
    "consistency": ("unlabeled.mode=consistency", "method=trades"),
    "consistency of all": ("unlabeled.mode=consistency", "unlabeled.images=all"),
    "consistency, free": ("unlabeled.mode=consistency", "method=free"),
    "both": ("unlabeled.mode=both", "method=trades", "unlabeled.soft=true", "unlabeled.confidence=0.11"),
    "both, ema": ("unlabeled.mode=both", "unlabeled.teacher=ema"),
    "both, given": ("unlabeled.mode=both", GIVEN, "task=none", "weighting=equal"),
}
LAST = Path("checkpoints") / "last.ckpt"


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    leave_out_picture(monkeypatch)


def assert_in_mid_epoch(directory, batch):
    content = load_checkpoint(directory / LAST)
    assert content["epoch"] == 1
    assert content["global_step"] % (STEPS + batch) == 0  # a multiple of it where a batch has several steps


def test_samples_are_visited_before_and_after_the_interruption(tmp_path):
    data = build_data(tiny(tmp_path, *SHORT))
    data.setup()
    sampler = data.training_sampler()
    sampler.set_epoch(1)
    visits = [dict(zip(request.positions, request.visits, strict=True)) for request in sampler]
    assert len(visits) == STEPS
    again = visits[0].keys() & visits[3].keys()
    assert again
    assert all(visits[3][sample] > visits[0][sample] for sample in again)


@pytest.mark.parametrize(
    "mode", [name if name == "both, given" else pytest.param(name, marks=pytest.mark.slow) for name in MODES]
)
def test_interrupted_in_mid_epoch(tmp_path, mode):
    """A run that trains its teacher is interrupted in that stage, and then again in the training."""
    whole, stopped, words = tmp_path / "whole", tmp_path / "stopped", (*SHORT, *MODES[mode])
    trained(whole, *words)
    interrupt(stopped, *words, epoch=1, batch=3)
    if (whole / "teacher").exists():
        assert not (stopped / "checkpoints").exists()
        assert_in_mid_epoch(stopped / "teacher", 3)
        interrupt(stopped, *words, "resume=auto", epoch=1, batch=2)
        assert_same_run(whole / "teacher", stopped / "teacher")
        assert_in_mid_epoch(stopped, 2)
    else:
        assert_in_mid_epoch(stopped, 3)
    trained(stopped, *words, "resume=auto")
    assert_same_run(whole, stopped)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["standard", "ema", "given", "consistency", "both"])
def test_interrupted_in_mid_epoch_in_two_processes(tmp_path, mode):
    """They equal one undisturbed process; an encoder whose outputs follow from one image alone shows it."""
    encoder = ("~encoder.width", "encoder._target_=support.plain_encoder.plain_encoder", "engine.precision=64-true")
    others = [word for word in TINY if not word.startswith("encoder.")]
    words = ("experiment=quickstart", *others, *SHORT, *MODES[mode], *encoder)
    one, two = tmp_path / "one", tmp_path / "two"
    run(composed("train", *words, f"paths.run={one}"))
    given = (*words, f"paths.run={two}", "trainer.devices=2", "resume=auto")
    tests = str(Path(support.__file__).parents[1])
    stops = (3, 2) if (one / "teacher").exists() else (3,)
    for batch in stops:
        stop = f"+callbacks.stop={{_target_: {Interrupt.__module__}.Interrupt, epoch: 1, batch: {batch}}}"
        assert command(*given, stop, cwd=tmp_path, PYTHONPATH=tests).returncode != 0
        assert_in_mid_epoch(two / "teacher" if batch != stops[-1] else two, batch)
    done = command(*given, cwd=tmp_path, PYTHONPATH=tests)
    assert done.returncode == 0, done.stderr
    for stage in ([Path("teacher")] if (one / "teacher").exists() else []) + [Path()]:
        ours, theirs = (load_checkpoint(directory / stage / LAST)["state_dict"] for directory in (one, two))
        for name, value in ours.items():
            torch.testing.assert_close(theirs[name], value, rtol=0, atol=1e-7)
    if (one / "pseudo_labels.npz").exists():
        ours, theirs = (read_labels(directory / "pseudo_labels.npz") for directory in (one, two))
        assert torch.equal(ours.index, theirs.index)
        torch.testing.assert_close(ours.probabilities, theirs.probabilities)
