"""Stochastic weight averaging in real, tiny runs on the bundled digits."""

import csv

import pytest
import torch
from hydra.errors import InstantiationException
from torch import nn

from gat_lightning.config.build import build_trainer
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.config.messages import explain
from gat_lightning.training.averaging import EqualAverage, WeightAverage, recompute_batchnorm
from gat_lightning.training.callbacks import WeightAveraging
from support.averaged_training import assert_equal, composed, fit
from support.training_runs import SHORT, trained

BOTH = ["callbacks=default+ema+swa", "callbacks.swa.rule.start=0.5", "trainer.max_epochs=4"]
"""16 steps; the epochs that end with steps 8, 12 and 16 are averaged."""


def swa_of(run):
    return next(
        callback
        for callback in run.trainer.callbacks
        if isinstance(callback, WeightAveraging) and "swa" in callback.state_key
    ).average


def saved(run, name):
    return load_checkpoint(run.directory / "checkpoints" / f"{name}.ckpt")


def assert_mean_of(weights, state):
    for name in weights[0]:
        mean = torch.stack([each[name].double() for each in weights]).mean(0)
        assert torch.allclose(state[f"model.{name}"].double(), mean, rtol=1e-5, atol=1e-7), name


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("run"), *BOTH)


def test_the_average_of_a_run_by_hand(run):
    weights = run.recorder.weights
    assert len(weights) == 17
    assert swa_of(run).steps == 3
    assert_mean_of([weights[step] for step in (8, 12, 16)], saved(run, "swa")["state_dict"])


def test_statistics_are_those_of_the_training_images(run):
    state = saved(run, "swa")["state_dict"]
    model = swa_of(run).model
    images = (run.data.augmented(batch, epoch=3).images for batch in run.data.train_dataloader())
    found = {name: value.clone() for name, value in model.state_dict().items()}
    assert_equal(found, {name.removeprefix("model."): value for name, value in state.items()})
    assert run.data.train_dataloader().batch_sampler.epoch == 0
    recompute_batchnorm(model, images)
    assert_equal(found, dict(model.state_dict()))
    plain = saved(run, "last")["state_dict"]
    means = [name for name in plain if name.endswith("running_mean")]
    assert means
    assert not any(torch.equal(plain[name], state[name]) for name in means)


def test_the_average_is_scored_once_there_is_one(run):
    with (run.directory / "metrics.csv").open() as file:
        scored = [row for row in csv.DictReader(file) if row["val/clean/accuracy"]]
    assert len(scored) == 4
    assert [bool(row["swa/val/clean/accuracy"]) for row in scored] == [False, True, True, True]
    assert all(row["ema/val/clean/accuracy"] for row in scored)


@pytest.mark.parametrize("step", [6, 11])
def test_a_resumed_run_equals_one_without_interruption(run, tmp_path, step):
    """Resumed in the middle of an epoch, before the first weights are averaged and after it."""
    checkpoint = run.directory / "steps" / f"{step}.ckpt"
    assert load_checkpoint(checkpoint)["callbacks"]["WeightAveraging{'name': 'swa'}"]["steps"] == (step >= 8)
    resumed = fit(tmp_path / "resumed", *BOTH, resume=checkpoint)
    for name in ("last", "ema", "swa"):
        one, other = saved(run, name), saved(resumed, name)
        assert (one["epoch"], one["global_step"]) == (other["epoch"], other["global_step"]) == (3, 16)
        assert_equal(one["state_dict"], other["state_dict"])


def test_a_run_that_ends_within_an_epoch_ends_with_its_last_weights(tmp_path):
    run = fit(tmp_path / "short", "callbacks=default+swa", "trainer.max_epochs=-1", "+trainer.max_steps=6")
    assert swa_of(run).steps == 1
    assert_mean_of(run.recorder.weights[6:], saved(run, "swa")["state_dict"])


def test_of_several_steps_on_a_batch_the_last_one_ends_an_epoch(tmp_path):
    run = fit(tmp_path / "free", *BOTH, "method=free", "method.replays=3", "task=none", "weighting=equal")
    weights = run.recorder.weights
    assert run.trainer.global_step == 3 * 16
    assert len(weights) == 17
    assert swa_of(run).steps == 3
    assert_mean_of([weights[batches] for batches in (8, 12, 16)], saved(run, "swa")["state_dict"])


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_most_steps_that_fall_within_the_steps_on_a_batch_are_those_after_it(tmp_path, schedule):
    """13 steps are reached by the fifth batch of 3 steps, whose last one ends the run."""
    free = ["method=free", "method.replays=3", "task=none", "weighting=equal", f"schedule={schedule}"]
    run = fit(tmp_path / "free", "callbacks=default+swa", *free, "+trainer.max_steps=13")
    assert run.trainer.global_step == 15
    assert swa_of(run).steps == 2
    assert_mean_of(run.recorder.weights[4:], saved(run, "swa")["state_dict"])


def test_the_averages_are_tested_beside_the_plain_model(tmp_path, undrawn):
    result = trained(tmp_path, *SHORT, "callbacks=default+ema+swa")
    assert list(result["metrics"]) == ["best", "last", "ema", "swa"]
    assert set(result["metrics"]["swa"]) == set(result["metrics"]["best"])
    assert result["files"]["checkpoints"]["swa"] == "checkpoints/swa.ckpt"


def test_all_weights_have_the_same_share():
    model = nn.Linear(2, 2).double()
    average, seen = WeightAverage(model, EqualAverage()), []
    for _ in range(7):
        nn.init.normal_(model.weight)
        seen.append(model.weight.detach().clone())
        average.update()
        assert torch.allclose(average.model.weight, torch.stack(seen).mean(0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("start", "expected"), [(0.75, [15, 20]), (0.0, [5, 10, 15, 20]), (0.8, [20]), (0.99, [20]), (0.5, [10, 15, 20])]
)
def test_ends_of_epochs_from_the_start_on(start, expected):
    rule = EqualAverage(start)
    assert [step for step in range(1, 21) if rule.takes(step, 20, step % 5 == 0)] == expected


def test_the_start_is_not_lost_to_rounding():
    assert 0.55 * 100 > 55
    assert EqualAverage(0.55).takes(55, 100, True)


def test_bad_settings_are_refused(tmp_path):
    with pytest.raises(InstantiationException) as caught:
        build_trainer(composed(tmp_path, "callbacks=default+swa", "callbacks.swa.rule.start=1.0"))
    assert explain(caught.value).startswith(
        "callbacks.swa.rule.start=1.0: it must be a number of at least 0 and below 1"
    )
