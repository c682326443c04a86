"""Learning-rate schedules, stepped after every batch. Each takes the optimiser and the number of steps of the run."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR


def cosine(optimizer: Optimizer, steps: int, final_lr: float = 0.0) -> LRScheduler:
    """Cosine annealing from the optimiser's rate to ``final_lr`` (paper, section 5.1)."""
    return CosineAnnealingLR(optimizer, T_max=max(steps, 1), eta_min=final_lr)


def one_cycle(optimizer: Optimizer, steps: int, warmup: float = 0.3) -> LRScheduler:
    """Warm-up to the optimiser's rate over the first ``warmup`` of the steps, then annealing (Smith & Topin, 2018).

    Momentum stays as configured.
    """
    peak = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, max_lr=peak, total_steps=max(steps, 2), pct_start=warmup, cycle_momentum=False)
