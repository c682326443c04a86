"""Averages of a model's weights in the course of its training, and BatchNorm statistics that belong to them.

Averaging the iterates of stochastic gradient descent goes back to Polyak & Juditsky (1992). In adversarial training
an exponential moving average gives a more robust model than the last weights (Gowal et al. 2020; Rebuffi et al. 2021).
Running statistics of BatchNorm are not averaged: they belong to the weights that produced them, and are computed anew
for the averaged ones (Izmailov et al. 2018).
"""

import copy
import math
from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.validate import check_bool, check_real

Model = TypeVar("Model", bound=nn.Module)

# Of a part of the steps, so that 0.55 of 100 steps are 55.
_ROUNDING = 1e-6


class AveragingRule(Protocol):
    """Which weights are averaged, and how much of the old average is kept for each.

    average <- decay · average + (1 - decay) · weights.
    """

    name: str
    """Name of the checkpoint that holds the average, and of its figures."""

    def takes(self, step: int, steps: int, ends_epoch: bool) -> bool:
        """Whether the average takes in the weights after a step: of the run's ``steps``, number ``step`` from 1."""

    def decay(self, step: int) -> float:
        """In [0, 1], for weights that follow ``step`` others; 0 makes the average equal to the weights."""


class ExponentialAverage:
    """Exponential moving average.

    With the warm-up, step t (from 0) keeps min(decay, (1 + t) / (10 + t)), as TensorFlow's
    ``ExponentialMovingAverage(num_updates=t)`` does: until that reaches ``decay`` the average looks back over about the
    last ninth of the steps, and so leaves the initial weights behind in short runs too.

    Args:
        decay: part of the old average that a step keeps, in [0, 1).
        warmup: whether to keep less in the beginning.

    Raises:
        SettingError: an argument is out of range.
    """

    name = "ema"

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        self._decay = float(check_real("decay", decay, 0, 1, closed="left", example=0.999))
        self._warmup = check_bool("warmup", warmup)

    def takes(self, step: int, steps: int, ends_epoch: bool) -> bool:
        """All steps."""
        return True

    def decay(self, step: int) -> float:
        """The part that the step after ``step`` others keeps."""
        return min(self._decay, (1 + step) / (10 + step)) if self._warmup else self._decay


class EqualAverage:
    """Stochastic weight averaging (Izmailov et al. 2018): the mean of the weights at the ends of epochs.

    Of all epochs that end in the last part of the run, and of the run itself where it ends within an epoch.

    Args:
        start: part of the run before the first weights, in [0, 1).

    Raises:
        SettingError: an argument is out of range.
    """

    name = "swa"

    def __init__(self, start: float = 0.75) -> None:
        self._start = float(check_real("start", start, 0, 1, closed="left", example=0.75))

    def takes(self, step: int, steps: int, ends_epoch: bool) -> bool:
        """The last step of an epoch or of the run, from ``start`` on."""
        return (ends_epoch or step >= steps) and step >= math.ceil(self._start * steps - _ROUNDING)

    def decay(self, step: int) -> float:
        """The part that gives all weights the same share."""
        return step / (step + 1)


class WeightAverage(Generic[Model]):
    """The average of a model's parameters, from the weights it has now on.

    ``torch.optim.swa_utils.AveragedModel`` does the same with a decay that cannot change, copies every buffer in every
    step, and waits for the GPU in each; here a step is one fused operation, torch's own, over all parameters.

    Args:
        model: the model in training; it is not changed.
        rule: the weight of each update.

    Attributes:
        model: a copy, in eval mode and without gradients, that holds the average. Its BatchNorm statistics are those
            of ``model`` at the beginning until :func:`recompute_batchnorm` sets them.
        steps: how many weights it has taken in.
    """

    def __init__(self, model: Model, rule: AveragingRule) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.steps = 0
        self._rule = rule
        self._current = list(model.parameters())
        self._averages = list(self.model.parameters())

    def update(self) -> None:
        """Take in the weights that the model has now."""
        get_ema_multi_avg_fn(self._rule.decay(self.steps))(self._averages, self._current, self.steps)
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        """The number of weights taken in and the averaged parameters, as plain types and tensors."""
        return {"steps": self.steps, "parameters": {n: p.detach() for n, p in self.model.named_parameters()}}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the average that :meth:`state_dict` described."""
        self.steps = state["steps"]
        for name, parameter in self.model.named_parameters():
            parameter.copy_(state["parameters"][name])


@torch.no_grad()
def recompute_batchnorm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of every BatchNorm layer to those of the given images (Izmailov et al. 2018).

    Mean and unbiased variance of each batch, averaged over the images. Equal batches give what
    ``torch.optim.swa_utils.update_bn`` gives; of unequal ones (the last of an epoch may be as small as 2) each counts
    by its size. Only BatchNorm runs in train mode, so that dropout neither changes the statistics nor draws random
    numbers. Over several ranks, each with its part of every batch, the ranks' statistics are averaged by the same
    weights: as in training, a variance is that of a rank's part. A model without BatchNorm is left as it is.

    Args:
        model: its forward takes images; afterwards it is in eval mode.
        batches: this rank's images, each ``[B, C, H, W]``, on the model's device.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not layers:
        return
    model.eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
    seen = 0
    try:
        for images in batches:
            seen += len(images)
            for layer in layers:
                layer.momentum = len(images) / seen
            model(images)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
    _average_over_ranks(layers, seen)


def _average_over_ranks(layers: list[_BatchNorm], seen: int) -> None:
    device = next(layer.running_mean.device for layer in layers if layer.running_mean is not None)
    share = seen / int(sum_over_ranks(torch.tensor(seen, device=device)))
    for layer in layers:
        for statistic in (layer.running_mean, layer.running_var):
            assert statistic is not None
            sum_over_ranks(statistic.mul_(share))
