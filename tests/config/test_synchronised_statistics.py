"""trainer.sync_batchnorm: what it is refused with, and what is the same with it."""

import pytest
import torch
from torch import nn

from gat_lightning.config.check import check
from gat_lightning.errors import UserError
from gat_lightning.methods import Madry
from support.configurations import composed
from support.training_steps import fit_one_step, toy_module


@pytest.mark.parametrize(
    ("on_gpu", "overrides", "message"),
    [
        (False, [], r"sync_batchnorm=true needs GPUs: .* Leave it at false\."),
        (True, ["trainer.accelerator=cpu"], "needs GPUs"),
        (True, ["curvature.derivative=exact"], "without a double backward only: .*finite_difference or"),
        (True, ["curvature.mode=off", "engine.micro_batch=16"], "and engine.micro_batch do not go together"),
        (True, ["curvature.derivative=finite_difference"], None),
        (True, ["trainer.sync_batchnorm=3"], "trainer.sync_batchnorm=3: it must be true or false"),
    ],
)
def test_what_it_is_refused_with(monkeypatch, on_gpu, overrides, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: on_gpu)
    config = composed(
        "train", "experiment=quickstart", "paths.run=/nowhere", "trainer.accelerator=auto",
        "trainer.sync_batchnorm=true",
        *overrides,
    )  # fmt: skip
    if message is None:
        check(config)
    else:
        with pytest.raises(UserError, match=message):
            check(config)


def normalised():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Softplus(), nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6)]
    return nn.Sequential(*layers, nn.Tanh(), nn.Linear(6, 4)).double()


def test_alone_a_synchronised_model_makes_the_same_step():
    """The layers keep the parameters that engine and optimizer have, the keys of the checkpoint, and their buffers."""
    plain, synchronised = (toy_module(Madry("separate"), "penalty", None, True, net=normalised()) for _ in range(2))
    nn.SyncBatchNorm.convert_sync_batchnorm(synchronised)
    assert sum(isinstance(layer, nn.SyncBatchNorm) for layer in synchronised.modules()) == 2
    for module in (plain, synchronised):
        fit_one_step(module)
    states = plain.state_dict(), synchronised.state_dict()
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
