"""Whole trainings on the bundled digits, made short."""

import csv
import json
import warnings

import torch

from gat_lightning.commands.train import testing
from gat_lightning.commands.train.run import run
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.config.command_line import quiet_lightning
from support.configurations import composed

TINY = [
    "trainer.accelerator=cpu",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "~callbacks.curves",
    "data.fraction=0.2",
    "data.batch_size=64",
    "encoder.width=4",
    "attack.steps=2",
    "validation.attack.steps=2",
    "test.attack.steps=2",
]
CURVES = "+callbacks.curves._target_=gat_lightning.training.callbacks.Curves"
"""Draws the learning curves, which tiny runs leave out."""
MEASURED = ("images_per_second", "peak_memory_gib")
"""Columns that differ between equal runs."""
SHORT = ["trainer.max_epochs=1", "data.fraction=0.1", "+trainer.limit_test_batches=1"]


def tiny(directory, *overrides, base="experiment=quickstart"):
    directory.mkdir(exist_ok=True)
    own = [word for word in overrides if not (word in TINY and word.startswith("~"))]  # nothing is deleted twice
    return composed("train", base, *TINY, f"paths.run={directory}", *own)


def trained(directory, *overrides, **settings):
    """Train, and read ``result.json``."""
    with warnings.catch_warnings():
        quiet_lightning()
        run(tiny(directory, *overrides, **settings))
    return json.loads((directory / "result.json").read_text())


def leave_out_picture(patch):
    """Let no run draw its attacked images at the end."""
    patch.setattr(testing, "adversarial_gallery", lambda *_: None)


def rows(directory):
    with (directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def equal(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def deterministic(row):
    return {name: value for name, value in row.items() if name not in MEASURED and value}


def assert_same_run(whole, resumed):
    """A run that was resumed equals one that was not."""
    assert_equal_runs(whole, resumed)
    results = [json.loads((directory / "result.json").read_text()) for directory in (whole, resumed)]
    assert results[0]["resumed"] is None
    assert results[1]["resumed"].endswith("last.ckpt")


def assert_equal_runs(*directories):
    """Two runs have the same weights, states, scores and rows, bit by bit."""
    for name in ("last", "best"):
        first, second = (load_checkpoint(directory / "checkpoints" / f"{name}.ckpt") for directory in directories)
        assert first["global_step"] == second["global_step"]
        for key in ("state_dict", "optimizer_states", "lr_schedulers"):
            assert equal(first[key], second[key]), (name, key)
    results = [json.loads((directory / "result.json").read_text()) for directory in directories]
    assert results[0]["metrics"] == results[1]["metrics"]
    first, second = ([deterministic(row) for row in rows(directory)] for directory in directories)
    assert first == second
