"""The Gramian of long gradients, in several ways to compute it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gpu.machine import Machine
from gat_lightning import gramian
from gat_lightning.gradients import spaces

CALLS = 5
SIZES = ((5, 11_200_000), (8, 36_500_000))
"""Objectives and parameters: three tasks on a ResNet-18, and more on a WRN-28-10."""


def duration(machine: Machine, way: str, objectives: int, parameters: int) -> dict[str, Any]:
    """Milliseconds, and the largest error relative to the norms of two gradients."""
    rows = torch.randn(objectives, machine.sized(parameters, 100_000), device=machine.device)
    exact = rows.double() @ rows.double().T
    norms = exact.diagonal().sqrt()
    errors = (WAYS[way](rows) - exact) / torch.outer(norms, norms)
    milliseconds = 1000 * machine.seconds(lambda: WAYS[way](rows), CALLS)
    return {"ms": round(milliseconds, 3), "largest error": float(errors.abs().max())}


def _in_blocks(rows: Tensor, block: int, width: int) -> Tensor:
    with patch.object(spaces, "_GPU_BLOCK", (block, width)), patch.object(spaces, "_CPU_BLOCK", (block, width)):
        return gramian(rows)


def _by_pairs(rows: Tensor) -> Tensor:
    products = rows.new_zeros(len(rows), len(rows), dtype=torch.float64)
    for index in range(len(rows)):
        products[index, : index + 1] = (rows[index] * rows[: index + 1]).sum(1, dtype=torch.float64)
    return products.tril() + products.tril(-1).T


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": gramian,
    "blocks of 2^18 in rows of 2^18": lambda rows: _in_blocks(rows, 1 << 18, 1 << 18),
    "blocks of 2^22 in rows of 2^12": lambda rows: _in_blocks(rows, 1 << 22, 1 << 12),
    "blocks of 2^22 in rows of 2^14": lambda rows: _in_blocks(rows, 1 << 22, 1 << 14),
    "pairs": _by_pairs,
    "one product in float32": lambda rows: (rows @ rows.T).double(),
}
"""Gradients ``[K, P]`` to inner products ``[K, K]`` in float64."""
