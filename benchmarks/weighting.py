"""What the weighting costs: the Gramian of the K gradients, and MGDA's solution."""

from __future__ import annotations

import torch

from benchmarks.ours import Ours
from benchmarks.timing import Tick, Times, interleaved
from benchmarks.work import Work
from gat_lightning.gradients.spaces import gramian
from gat_lightning.weighting import MGDA


def compare(work: Work, rounds: int, tick: Tick) -> Times:
    """Times of our whole step, of the Gramian of gradients of its size, and of the solution of its own Gramian."""
    ours, mgda = Ours(work), MGDA()
    size = sum(parameter.numel() for parameter in ours.module.engine.shared)
    rows = torch.randn(8, size, generator=torch.Generator().manual_seed(work.seed)).to(work.device)
    return interleaved(
        {
            "step": ours.step,
            "gramian": lambda index: gramian(rows).cpu(),
            "solve": lambda index: mgda(ours.last.gramian),
        },
        rounds,
        tick,
    )
