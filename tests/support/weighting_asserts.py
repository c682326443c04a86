"""Gradients of every awkward kind, and what must hold for weights: written once, used for every solver and weighting.

Norms are computed from the gradients themselves in exact arithmetic, never from the Gramian that the solver saw.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, float64

Array = NDArray[np.float64]


def random_jacobian(kind: str, rng: np.random.Generator) -> Array:
    """K gradients as rows, K = 2..16, in 1 to 17 dimensions: with few, 0 tends to lie in their hull."""
    count, size = int(rng.integers(2, 17)), int(rng.integers(1, 18))
    rows = rng.standard_normal((count, size)) + rng.uniform(0, 3) * rng.standard_normal(size)
    scale = {"tiny": 1e-30, "huge": 1e15}.get(kind, 1.0)
    if kind == "zero":
        rows[rng.integers(count)] = 0
    elif kind == "duplicate":
        rows[rng.integers(count, size=(count + 1) // 2)] = rows[0]
    elif kind == "almost duplicate":
        rows[1:] = rows[0] + rows[1:] * 10 ** rng.uniform(-12, 0, (count - 1, 1))
    elif kind == "opposite":
        rows[-1] = -rows[0] * rng.choice([1, 1e-3, 1e8])
    elif kind == "mixed scale":
        rows *= 10 ** rng.uniform(-15, 15, (count, 1))
    elif kind == "rank 1":
        rows = np.outer(rng.standard_normal(count), rows[0])
    elif kind == "rank 1, mixed scale":
        rows = np.outer(rng.standard_normal(count) * 10 ** rng.uniform(-15, 15, count), rows[0])
    elif kind == "integers":
        rows = rng.integers(-2, 3, (count, size)).astype(float)
    return rows * scale


KINDS = (
    "plain", "zero", "duplicate", "almost duplicate", "opposite", "tiny", "huge", "mixed scale", "rank 1",
    "rank 1, mixed scale", "integers",
)  # fmt: skip


def random_floor(count: int, rng: np.random.Generator) -> Array:
    if rng.random() < 0.5:
        return np.where(np.arange(count) == rng.integers(count), 0.5, 0.0)
    return rng.dirichlet(np.ones(count)) * rng.uniform(0, 1)


def exact(values: Array) -> NDArray[np.object_]:
    return np.vectorize(Fraction, otypes=[object])(values)


def combined_norm(jacobian: Array, weights: Array) -> float:
    """‖Σ w_k g_k‖."""
    combined = exact(weights) @ exact(jacobian)
    return math.sqrt(combined @ combined)


def longest(jacobian: Array) -> float:
    return float(np.linalg.norm(jacobian, axis=1).max())


def least_norm_bound(jacobian: Array, weights: Array, floor: Array | None = None) -> float:
    """A lower bound on ‖Σ v_k g_k‖ over all v >= m with sum 1, which the optimal weights attain.

    The combined gradients are the hull of p_k = Σ m_j g_j + (1 - Σ m_j) g_k, and for any x they are at least
    min_k p_k . x / ‖x‖ long. We take x = Σ w_k g_k.
    """
    gradients = exact(jacobian)
    combined = exact(weights) @ gradients
    norm = math.sqrt(combined @ combined)
    slopes = gradients @ combined
    if floor is not None:
        slopes = exact(floor) @ slopes + (1 - sum(exact(floor))) * slopes
    return max(0.0, float(min(slopes)) / norm) if norm > 0 else 0.0


def least_norm(jacobian: Array) -> float:
    """The minimum norm in the hull, exact: the best of all subsets, each solved in rational arithmetic."""
    gradients = exact(jacobian)
    gramian = gradients @ gradients.T
    best = min(gramian.diagonal())
    for size in range(2, len(jacobian) + 1):
        for subset in combinations(range(len(jacobian)), size):
            weights = _stationary_weights(gramian[np.ix_(subset, subset)])
            if weights is not None and min(weights) >= 0:
                best = min(best, weights @ gramian[np.ix_(subset, subset)] @ weights)
    return math.sqrt(best)


def _stationary_weights(gramian: NDArray[np.object_]) -> NDArray[np.object_] | None:
    """Weights of sum 1 for which all entries of G w are equal; none if not unique: a smaller set will do then."""
    size = len(gramian)
    table = np.full((size + 1, size + 2), Fraction(0))
    table[:size, :size] = gramian
    table[size, :size] = table[:size, size] = table[size, size + 1] = Fraction(1)
    for column in range(size + 1):
        pivots = [row for row in range(column, size + 1) if table[row, column] != 0]
        if not pivots:
            return None
        table[[column, pivots[0]]] = table[[pivots[0], column]]
        table[column] = table[column] / table[column, column]
        for row in range(size + 1):
            if row != column and table[row, column] != 0:
                table[row] = table[row] - table[row, column] * table[column]
    return table[:size, size + 1]


def assert_on_simplex(weights: Tensor, count: int, floor: Array | None = None) -> None:
    assert weights.shape == (count,)
    assert weights.dtype == float64
    assert weights.isfinite().all()
    assert abs(weights.sum().item() - 1) < 1e-9
    assert (weights.numpy() >= (0 if floor is None else floor) - 1e-12).all()


def assert_shortest(jacobian: Array, weights: Array, floor: Array | None = None) -> None:
    """The combined gradient is the shortest that the weights' set allows."""
    bound = least_norm_bound(jacobian, weights, floor)
    assert combined_norm(jacobian, weights) <= bound * (1 + 1e-6) + 1e-9 * longest(jacobian)
