"""The optimiser of a training, which must be one for a step on gradients that were weighed before."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class Optimization:
    """How gradients move the weights.

    Attributes:
        optimizer: trainable parameters -> optimiser.
        schedule: (optimiser, number of steps) -> learning-rate schedule, stepped after every batch.
    """

    optimizer: Callable[[Any], Optimizer]
    schedule: Callable[[Optimizer, int], LRScheduler]


def checked_optimizer(
    make: Callable[[Iterable[nn.Parameter]], Optimizer], parameters: Mapping[str, nn.Parameter]
) -> Optimizer:
    """Make an optimizer of parameters by name, and see that each step changes every one of them once.

    Raises:
        ValueError: it steps by a closure, which evaluates the loss again (LBFGS), or leaves a parameter out or has it
            twice.
    """
    try:
        optimizer = make(list(parameters.values()))
    except ValueError as error:
        if "more than one parameter group" not in str(error):
            raise
        raise ValueError(f"{error}; let every parameter be in one group.") from error
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(
            f"{type(optimizer).__name__} evaluates the loss again within a step, by a closure; the step on weighted"
            " gradients has none. Choose an optimizer that steps without, such as optimizer=sgd or optimizer=adamw."
        )
    _check_groups(optimizer, parameters)
    return optimizer


def _check_groups(optimizer: Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
    grouped: list[Any] = [each for group in optimizer.param_groups for each in group["params"]]
    times = {name: sum(each is parameter for each in grouped) for name, parameter in parameters.items()}
    for wrong, what in (
        ([name for name, count in times.items() if count == 0], "leaves out"),
        ([name for name, count in times.items() if count > 1], "has more than once"),
    ):
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise ValueError(
                f"{type(optimizer).__name__} {what} {wrong[0]}{more}: each trainable parameter must be in one of its"
                " groups, once. Freeze those that are not to be trained with requires_grad_(False)."
            )
