"""Gradients of every awkward kind, and what must hold for weights: written once, used for every solver and weighting.

Norms are computed from the gradients themselves in exact arithmetic, never from the Gramian that the solver saw.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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


def root(square: Fraction) -> float:
    """Square root of an exact number, whatever its magnitude."""
    return float(np.sqrt(float(square))) if 1e-200 < square < 1e200 else float(_long_root(square))


def _long_root(square: Fraction) -> Fraction:
    if square == 0:
        return Fraction(0)
    shift = Fraction(4) ** round((square.numerator.bit_length() - square.denominator.bit_length()) / 2)
    return Fraction(float(np.sqrt(float(square / shift)))) * root_of_power(shift)


def root_of_power(power: Fraction) -> Fraction:
    exponent = power.numerator.bit_length() - power.denominator.bit_length()
    return Fraction(2) ** (exponent // 2)
