"""Optimizers that a step on weighted gradients cannot use."""

import pytest
import torch
from torch import nn

from gat_lightning.config.build import build_data, build_module
from gat_lightning.errors import UserError
from gat_lightning.training.optimizers import checked_optimizer
from support.configurations import composed

PARAMETERS = {name: nn.Parameter(torch.zeros(2)) for name in ("first", "second", "third")}


def twice(parameters):
    """Two groups that share a parameter."""
    first, second, third = parameters
    return torch.optim.SGD([{"params": [first, second]}, {"params": [second, third]}], lr=0.1)


def without_last(parameters, **settings):
    return torch.optim.SGD(list(parameters)[:-1], **{"lr": 0.1, **settings})


class Doubled(torch.optim.SGD):
    """A group that has a parameter twice, which torch itself only warns of."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)
        self.param_groups[0]["params"] += [self.param_groups[0]["params"][0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (torch.optim.LBFGS, "LBFGS evaluates the loss again within a step, by a closure"),
        (twice, "more than one parameter group; let every parameter be in one group"),
        (without_last, "SGD leaves out third: each trainable parameter must be in one"),
        (lambda parameters: without_last(list(parameters)[:-1]), "SGD leaves out second and 1 more"),
        (Doubled, "Doubled has more than once first"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        checked_optimizer(make, PARAMETERS)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad, torch.optim.RMSprop])
def test_others_are_returned(kind):
    def in_groups(parameters):
        first, *others = parameters
        return kind([{"params": [first], "weight_decay": 0.0}, {"params": others}], lr=0.1)

    for make in (in_groups, kind):
        assert isinstance(checked_optimizer(make, PARAMETERS), kind)


def test_an_optimizer_of_a_run_that_leaves_out_a_head_is_refused_before_training(tmp_path):
    here = f"{__name__}.without_last"
    config = composed("train", "experiment=quickstart", f"paths.run={tmp_path}", f"optimizer._target_={here}")
    with pytest.raises(
        UserError, match=r"optimizer: SGD leaves out decoders\.\S+\.head\.bias: each trainable parameter"
    ):
        build_module(config, build_data(config).info)
