"""Learning-rate schedules, stepped after every batch. Each takes the optimiser and the number of steps of the run.

Step t, counted from 0, is made at the rate that a function gives here in closed form. The first step after the warm-up
has the optimiser's rate, and the last step has the final one; a run of one step has the optimiser's. With a warm-up the
rate first rises linearly from 0 to the optimiser's over that part of the run (Goyal et al. 2017), which leaves at least
the steps at the highest and at the final rate.
"""

import math
from collections.abc import Callable, Sequence

import pytorch_lightning as pl
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from gat_lightning.errors import SettingError
from gat_lightning.validate import check_real


def steps_of_run(trainer: pl.Trainer, replays: int) -> int:
    """The number of optimiser steps of a run.

    Args:
        trainer: in a fit; its ``max_steps`` ends the run after the batch that reaches it.
        replays: steps that are made of one batch.
    """
    steps = int(trainer.estimated_stepping_batches) * replays
    if trainer.max_steps > 0:
        steps = min(steps, math.ceil(trainer.max_steps / replays) * replays)
    return steps


def cosine(optimizer: Optimizer, steps: int, final_lr: float = 0.0, warmup: float = 0.0) -> LRScheduler:
    """Cosine annealing from the optimiser's rate to ``final_lr`` (paper, section 5.1), after the warm-up.

    Args:
        optimizer: its groups' rates are the highest ones.
        steps: of the run.
        final_lr: rate of the last step.
        warmup: part of the steps that warm up, in [0, 1).

    Raises:
        SettingError: an argument is out of range.
    """
    check_real("warmup", warmup, 0, 1, closed="left", example=0.05)
    rising, falling = _phases(steps, warmup)

    def annealed(final: float) -> Callable[[int], float]:
        def factor(step: int) -> float:
            done = min((step - rising) / falling, 1.0)
            return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2

        return _after_warmup(rising, factor)

    return LambdaLR(
        optimizer, [annealed(final_lr / group["lr"] if group["lr"] else 0.0) for group in optimizer.param_groups]
    )


def constant(optimizer: Optimizer, steps: int, warmup: float = 0.0) -> LRScheduler:
    """The optimiser's rate, after the warm-up.

    Args:
        optimizer: its groups' rates are kept.
        steps: of the run.
        warmup: part of the steps that warm up, in [0, 1).

    Raises:
        SettingError: an argument is out of range.
    """
    check_real("warmup", warmup, 0, 1, closed="left", example=0.05)
    return LambdaLR(optimizer, _after_warmup(_rising(steps, warmup), lambda _: 1.0))


def multistep(
    optimizer: Optimizer,
    steps: int,
    milestones: Sequence[float] = (0.5, 0.75),
    gamma: float = 0.1,
    warmup: float = 0.0,
) -> LRScheduler:
    """The optimiser's rate times ``gamma`` for every milestone that is reached (Rice et al. 2020), after the warm-up.

    The first step is before all milestones.

    Args:
        optimizer: its groups' rates are the highest ones.
        steps: of the run.
        milestones: parts of the run, rising, each in (0, 1).
        gamma: in (0, 1].
        warmup: part of the steps that warm up, in [0, 1).

    Raises:
        SettingError: an argument is out of range.
    """
    check_real("warmup", warmup, 0, 1, closed="left", example=0.05)
    if not all(one < other for one, other in zip([0.0, *milestones], [*milestones, 1.0], strict=True)):
        right = "rising parts of the run, each above 0 and below 1, such as [0.5, 0.75]"
        raise SettingError("milestones", list(milestones), right)
    check_real("gamma", gamma, 0, 1, closed="right", example=0.1)
    reached = [max(round(part * steps), 1) for part in milestones]
    return LambdaLR(
        optimizer,
        _after_warmup(_rising(steps, warmup), lambda step: gamma ** sum(step >= milestone for milestone in reached)),
    )


def cyclic(optimizer: Optimizer, steps: int, warmup: float = 0.5) -> LRScheduler:
    """One triangle: linearly up from 0 to the optimiser's rate, then linearly down to 0 (Wong et al. 2020).

    Args:
        optimizer: its groups' rates are the highest ones.
        steps: of the run.
        warmup: part of the steps that go up, in [0, 1).

    Raises:
        SettingError: an argument is out of range.
    """
    check_real("warmup", warmup, 0, 1, closed="left", example=0.05)
    rising, falling = _phases(steps, warmup)
    return LambdaLR(optimizer, _after_warmup(rising, lambda step: max(1 - (step - rising) / falling, 0.0)))


def one_cycle(optimizer: Optimizer, steps: int, warmup: float = 0.3) -> LRScheduler:
    """Warm-up to the optimiser's rate over the first ``warmup`` of the steps, then annealing (Smith & Topin, 2018).

    Both follow half a cosine, from a 25th of the rate up and down to almost 0. A warm-up of less than one step is left
    out. Momentum stays as configured.

    Args:
        optimizer: its groups' rates are the highest ones.
        steps: of the run.
        warmup: part of the steps that warm up, in [0, 1).

    Raises:
        SettingError: an argument is out of range.
    """
    check_real("warmup", warmup, 0, 1, closed="left", example=0.05)
    peak = [group["lr"] for group in optimizer.param_groups]
    total = max(steps, 2)
    rising = warmup * steps
    if rising <= 1:  # torch divides by rising - 1; below 1 it begins at the peak
        rising = 1 + (1e-9 if rising == 1 else -1e-9)
    return OneCycleLR(optimizer, max_lr=peak, total_steps=total, pct_start=rising / total, cycle_momentum=False)


def _rising(steps: int, warmup: float, after: int = 1) -> int:
    """The number of steps that warm up, which leave so many steps after them."""
    return max(min(round(warmup * steps), steps - after), 0)


def _phases(steps: int, warmup: float) -> tuple[int, int]:
    """The number of steps that warm up, and of those from the first at the highest rate to the last of the run."""
    rising = _rising(steps, warmup, after=2)
    return rising, max(steps - 1 - rising, 1)


def _after_warmup(rising: int, factor: Callable[[int], float]) -> Callable[[int], float]:
    """A factor of the rate by step that is multiplied by t / ``rising`` in the first ``rising`` steps."""
    return lambda step: factor(max(step, rising)) * min(step / rising, 1.0) if rising else factor(step)
