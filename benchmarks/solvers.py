"""MGDA of ours, LibMTL and TorchJD on random gradients: which finds the shortest combination, and how fast."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers import libmtl_mgda
from gat_lightning.weighting import MGDA

WIDTH = 64


def random_gradients(count: int, generator: torch.Generator) -> Tensor:
    """``[K, 64]`` float32: K between 2 and 16, correlated to a random degree, norms over two decades, some equal."""
    size = int(torch.randint(2, 17, (), generator=generator))
    common = torch.randn(1, WIDTH, generator=generator)
    share = torch.rand((), generator=generator)
    rows = share * common + (1 - share) * torch.randn(size, WIDTH, generator=generator)
    rows = rows * 10 ** (2 * torch.rand(size, 1, generator=generator) - 1)
    if count % 5 == 0:
        rows[-1] = rows[0]
    return rows


def compare(problems: int, seed: int) -> dict[str, dict[str, float]]:
    """For each solver: excess of ‖Jᵀw‖ over the shortest that any found (median, largest), failures, microseconds.

    All get the same float32 gradients; the norm is taken in float64 of the weights divided by their sum. A failure is
    an exception, a result that is not finite, or none at all (LibMTL's where it does not converge in its 250 steps).
    """
    from torchjd.aggregation import MGDAWeighting

    libmtl, ours, torchjd = libmtl_mgda()(), MGDA(), MGDAWeighting()
    solvers: dict[str, Callable[[Tensor], Any]] = {
        "ours": lambda rows: ours(rows.double() @ rows.double().T),
        "LibMTL": lambda rows: libmtl._find_min_norm_element(rows),
        "TorchJD": lambda rows: torchjd(rows @ rows.T),
    }
    norms: dict[str, list[float]] = {name: [] for name in solvers}
    times: dict[str, list[float]] = {name: [] for name in solvers}
    generator = torch.Generator().manual_seed(seed)
    for count in range(problems):
        rows = random_gradients(count, generator)
        for name, solve in solvers.items():
            start = time.perf_counter()
            norms[name].append(_norm(solve, rows))
            times[name].append(time.perf_counter() - start)
    best = [min(column) for column in zip(*norms.values(), strict=True)]
    result = {}
    for name, found in norms.items():
        excess = [norm / least - 1 for norm, least in zip(found, best, strict=True) if norm < float("inf")]
        result[name] = {
            "median excess": median(excess),
            "largest excess": max(excess),
            "failures": len(found) - len(excess),
            "median microseconds": 1e6 * median(times[name]),
        }
    return result


def _norm(solve: Callable[[Tensor], Any], rows: Tensor) -> float:
    """‖Jᵀw‖ with w from the solver; infinite where it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            weights = solve(rows)
        except (RuntimeError, ArithmeticError, UnboundLocalError):
            return float("inf")
    if weights is None or not weights.isfinite().all() or weights.sum() <= 0:
        return float("inf")
    weights = weights.double() / weights.double().sum()
    return float((weights @ rows.double()).norm())
