"""A loss or gradient that is NaN or infinite: the run stops and says what, or leaves the batch out and nothing else."""

import csv
import json
import logging
import re
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from gat_lightning.errors import NonFiniteError
from gat_lightning.methods import Adversarial, Free, Madry
from gat_lightning.training.module import MOST_SKIPPED
from support.joined_ranks import SIZES, Joined
from support.processes import finished, only_run, start_command
from support.trainers import quiet_trainer
from support.training_runs import TINY, trained
from support.training_steps import EPS, toy_batch, toy_module

NAN, INFINITE = float("nan"), float("inf")


class Trap(nn.Module):
    """Multiplies what comes through in training."""

    def __init__(self):
        super().__init__()
        self.factor = 1.0

    def forward(self, x):
        return x * self.factor if self.training else x


class Spring(pl.Callback):
    """Sets the trap for some batches, on one rank, and keeps the model's state after each batch."""

    def __init__(self, value, batches, rank=0, directory=None):
        self.value, self.batches, self.rank, self.directory = value, batches, rank, directory
        self.states, self.steps = [], []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        spoilt = batch_idx in self.batches and trainer.global_rank == self.rank
        for part in module.modules():
            if isinstance(part, Trap):
                part.factor = self.value if spoilt else 1.0

    def on_train_batch_end(self, trainer, module, *_):
        self.states.append(state_of(module))
        self.steps.append(trainer.global_step)

    def on_train_end(self, trainer, module):
        if self.directory:
            found = {"skipped": module.skipped, "steps": trainer.global_step, "state": module.state_dict()}
            torch.save(found, self.directory / f"rank{trainer.global_rank}.pt")


def net():
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), Trap(), nn.Softplus(), nn.Flatten(), nn.Linear(12, 4)]
    return nn.Sequential(*parts).double()


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def fit(module, value=NAN, spoilt=(), batches=1):
    spring = Spring(value, spoilt)
    trainer = quiet_trainer(max_epochs=1, callbacks=[spring])
    trainer.fit(module, DataLoader([toy_batch()] * batches, batch_size=None))
    return spring


def toy(method, **settings):
    return toy_module(method, "off", None, True, net=net(), **settings)


@pytest.mark.parametrize("value", [NAN, INFINITE])
@pytest.mark.parametrize("method", [partial(Madry, "separate"), Adversarial, partial(Free, EPS, replays=2)])
def test_a_batch_that_is_left_out_leaves_no_trace(method, value, caplog):
    module = toy(method(), skip_non_finite=True)
    record = fit(module, value, [1], 3)
    before, after, last = record.states
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(not torch.equal(after[name], last[name]) for name in before if "running" not in name)
    assert all(value.isfinite().all() for value in last.values())
    replays = module.method.replays
    assert record.steps == [replays, replays, 2 * replays]
    assert module.skipped == replays
    assert f"Step {replays} is left out, 1 so far: objective '" in caplog.text


def test_a_batch_is_left_out_of_the_training_of_a_model_without_buffers():
    bare = nn.Sequential(*(part for part in net() if not isinstance(part, nn.BatchNorm2d)))
    module = toy_module(Adversarial(), "off", None, True, net=bare, skip_non_finite=True)
    assert not list(module.model.buffers())
    before, after, last = fit(module, NAN, [1], 3).states
    assert module.skipped == 1
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(not torch.equal(after[name], last[name]) for name in before)


@pytest.mark.parametrize("value", [NAN, INFINITE])
def test_stop_is_the_default(value):
    with pytest.raises(NonFiniteError, match=r"stopped at step 1 \(epoch 1\): objective 'class/adv' .* rate is 0\.05"):
        fit(toy(Adversarial()), value, [1], 2)


def spoil_gradient(parameter, value):
    parameter.register_hook(lambda gradient: torch.full_like(gradient, value))


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE])
@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (lambda model: next(iter(model.shared_parameters())), r"objective 'class/adv' is not finite \(value \d"),
        (
            lambda model: next(iter(model.decoder_parameters("macro"))),
            "gradient of objective 'macro/adv' is not",
        ),
    ],
    ids=["encoder", "decoder"],
)
def test_a_gradient_that_is_not_finite_though_the_loss_is(parameter, words, value):
    module = toy(Adversarial())
    spoil_gradient(parameter(module.model), value)
    before = state_of(module)
    with pytest.raises(NonFiniteError, match=words):
        fit(module)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items() if "weight" in name)


def test_ten_in_a_row_are_too_many_and_a_good_one_begins_again():
    assert MOST_SKIPPED == 10
    module = toy(Adversarial(), skip_non_finite=True)
    fit(module, NAN, [n for n in range(2 * MOST_SKIPPED - 1) if n != MOST_SKIPPED - 1], 2 * MOST_SKIPPED)
    assert module.skipped == 2 * (MOST_SKIPPED - 1)
    with pytest.raises(NonFiniteError, match="objective 'class/adv' is not finite"):
        fit(toy(Adversarial(), skip_non_finite=True), NAN, range(1, 1 + MOST_SKIPPED), 2 + MOST_SKIPPED)


def test_a_resumed_run_goes_on_counting():
    module = toy(Adversarial(), skip_non_finite=True)
    fit(module, NAN, [1], 2)
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    other = toy(Adversarial(), skip_non_finite=True)
    other.on_load_checkpoint(checkpoint)
    assert other.skipped == 1
    with pytest.raises(NonFiniteError):
        fit(other, NAN, range(MOST_SKIPPED - 1), MOST_SKIPPED)


@pytest.mark.parametrize("on_nan", ["stop", "skip"])
def test_a_diverging_run_names_the_last_good_checkpoint(tmp_path, on_nan, caplog):
    caplog.set_level(logging.WARNING)
    settings = ["optimizer.lr=1e30", "schedule=constant", "weighting=equal", "curvature.mode=off", "task=none"]
    with pytest.raises(NonFiniteError) as caught:
        trained(tmp_path, *settings, "callbacks.last.minutes=0", f"on_nan={on_nan}", "data.batch_size=16")
    last = tmp_path / "checkpoints" / "last.ckpt"
    for part in ("Training stopped at step", "objective 'class/", "learning rate is 1e+", f"checkpoint: {last}."):
        assert part in str(caught.value)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["status"] == "failed"
    assert result["skipped_batches"] == (MOST_SKIPPED - 1 if on_nan == "skip" else 0)
    assert caplog.text.count("is left out") == result["skipped_batches"]
    assert all(value.isfinite().all() for value in torch.load(last, weights_only=True)["state_dict"].values())


@pytest.mark.slow
@pytest.mark.parametrize("on_nan", ["stop", "skip"])
def test_a_diverging_command_ends_with_one_message(tmp_path, on_nan):
    settings = ["optimizer.lr=1e30", "schedule=constant", "weighting=equal", "curvature.mode=off", "data.batch_size=16"]
    process = start_command(tmp_path, *settings, f"on_nan={on_nan}")
    assert finished(process, tmp_path) == 1
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in log
    (said,) = (line for line in log.splitlines() if line.startswith("Error: "))
    print(said)
    last = only_run(tmp_path) / "checkpoints" / "last.ckpt"
    assert re.search(r"stopped at step \d+ \(epoch 1\): objective 'class/\w+' .* rate is 1e\+30", said)
    assert said.endswith(f"Last good checkpoint: {last}.")
    assert log.count("is left out") == (MOST_SKIPPED - 1 if on_nan == "skip" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_all_ranks_leave_the_batch_out_together(tmp_path, ranks):
    spring = Spring(NAN, [1], ranks - 1, tmp_path)
    trainer = quiet_trainer(max_epochs=1, devices=ranks, strategy="ddp_spawn", callbacks=[spring])
    module = toy_module(Madry("separate"), "objective", None, True, net=net(), skip_non_finite=True)
    trainer.fit(module, datamodule=Joined())
    found = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(ranks)]
    for rank in found:
        assert (rank["skipped"], rank["steps"]) == (1, len(SIZES) - 1)
        assert all(value.isfinite().all() for value in rank["state"].values())
        for name in dict(module.named_parameters()):
            assert torch.equal(rank["state"][name], found[0]["state"][name])


def test_skipped_batches_are_logged(tmp_path):
    trained(
        tmp_path, *TINY, "on_nan=skip", "trainer.max_epochs=1", "data.fraction=0.1", "+trainer.limit_test_batches=1"
    )
    with (tmp_path / "metrics.csv").open() as file:
        found = [row["skipped_batches"] for row in csv.DictReader(file) if row["stationarity"]]
    assert found
    assert set(found) == {"0.0"}
