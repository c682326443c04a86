"""Learning-rate schedules, stepped after every batch. Each takes the optimiser and the number of steps of the run.

Step t, counted from 0, is made at the rate that a function gives here in closed form. With a warm-up the rate first
rises linearly from 0 to the optimiser's over that part of the run (Goyal et al. 2017).
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
        final_lr: rate at the end of the run.
        warmup: part of the steps that warm up, in [0, 1).

    Raises:
        SettingError: an argument is out of range.
    """
    check_real("warmup", warmup, 0, 1, closed="left", example=0.05)
    rising = round(warmup * steps)

    def annealed(final: float) -> Callable[[int], float]:
        def factor(step: int) -> float:
            done = min((step - rising) / max(steps - rising, 1), 1.0)
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
    return LambdaLR(optimizer, _after_warmup(round(warmup * steps), lambda _: 1.0))


def multistep(
    optimizer: Optimizer,
    steps: int,
    milestones: Sequence[float] = (0.5, 0.75),
    gamma: float = 0.1,
    warmup: float = 0.0,
) -> LRScheduler:
    """The optimiser's rate times ``gamma`` for every milestone that is reached (Rice et al. 2020), after the warm-up.

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
    reached = [round(part * steps) for part in milestones]
    return LambdaLR(
        optimizer,
        _after_warmup(round(warmup * steps), lambda step: gamma ** sum(step >= milestone for milestone in reached)),
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
    rising = round(warmup * steps)
    falling = max(steps - rising, 1)
    return LambdaLR(optimizer, _after_warmup(rising, lambda step: max(1 - (step - rising) / falling, 0.0)))


def one_cycle(optimizer: Optimizer, steps: int, warmup: float = 0.3) -> LRScheduler:
    """Warm-up to the optimiser's rate over the first ``warmup`` of the steps, then annealing (Smith & Topin, 2018).

    Both follow half a cosine, from a 25th of the rate up and down to almost 0. Momentum stays as configured.

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
    part = float(warmup)
    if part * total == 1:
        part *= 1 + 1e-9  # torch divides by part * total - 1
    return OneCycleLR(optimizer, max_lr=peak, total_steps=total, pct_start=part, cycle_momentum=False)


def _after_warmup(rising: int, factor: Callable[[int], float]) -> Callable[[int], float]:
    """A factor of the rate by step that is multiplied by t / ``rising`` in the first ``rising`` steps."""
    return lambda step: factor(max(step, rising)) * min(step / rising, 1.0) if rising else factor(step)
