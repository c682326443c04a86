"""Pearson's correlation, as in the paper's Figure 1, and Spearman's, with intervals."""

import math
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, pearsonr, rankdata

from gat_lightning.evaluation.statistics.intervals import Interval

EXACT_UP_TO = 7
"""Number of points up to which the p-value of Spearman's ρ is taken over all permutations."""
_ROUNDING = 1e-12


class Correlation(NamedTuple):
    """Correlation coefficient with its two-sided p-value over ``n`` points; both NaN if a variable is constant."""

    r: float
    p_value: float
    n: int

    def text(self) -> str:
        """``r = -0.860, p = 0.012, n = 7``."""
        p_value = "p < 1e-300" if self.p_value < 1e-300 else f"p = {self.p_value:.2g}"
        return f"r = {self.r:.3f}, {p_value}, n = {self.n}"


def pearson(first: ArrayLike, second: ArrayLike) -> Correlation:
    """Pearson's correlation coefficient and the p-value of no correlation (paper, Figure 1).

    Args:
        first: one finite value per point, at least three points.
        second: likewise.

    Raises:
        ValueError: fewer than three points, lengths that differ, or values that are not finite.
    """
    x, y = _checked(first, second)
    if any(np.ptp(values) <= _ROUNDING * np.abs(values).max() for values in (x, y)):
        return Correlation(float("nan"), float("nan"), len(x))
    result = pearsonr(x, y)
    return Correlation(float(result.statistic), float(result.pvalue), len(x))


def spearman(first: ArrayLike, second: ArrayLike) -> Correlation:
    """Spearman's ρ: Pearson's coefficient of the ranks, where equal values share their mean rank.

    Up to :data:`EXACT_UP_TO` points the p-value is exact: the fraction of all permutations with as large a coefficient.
    Above, it is that of Student's t, which is inaccurate for few points.

    Args:
        first: one finite value per point, at least three points.
        second: likewise.

    Raises:
        ValueError: as for :func:`pearson`.
    """
    x, y = (rankdata(values) for values in _checked(first, second))
    found = pearson(x, y)
    if math.isnan(found.r) or found.n > EXACT_UP_TO:
        return found
    centred = y - y.mean()
    products = np.array(list(permutations(centred))) @ x
    extreme = np.abs(products) >= abs(float(centred @ x)) * (1 - 1e-9)
    return found._replace(p_value=float(extreme.mean()))


def fisher_interval(found: Correlation, *, of_ranks: bool = False, confidence: float = 0.95) -> Interval:
    """Interval of a coefficient by Fisher's z-transform (Fisher, 1915); of Spearman's after Bonett and Wright (2000).

    Args:
        found: correlation coefficient.
        of_ranks: whether it is Spearman's.
        confidence: in (0, 1).

    Returns:
        Both ends, in [-1, 1]; the whole range for three points, NaN for a NaN coefficient.
    """
    if math.isnan(found.r):
        return Interval(math.nan, math.nan)
    if found.n <= 3:
        return Interval(-1.0, 1.0)
    spread = math.sqrt((1 + found.r**2 / 2 if of_ranks else 1) / (found.n - 3))
    half = float(norm.isf((1 - confidence) / 2)) * spread
    centre = math.atanh(found.r) if abs(found.r) < 1 else math.copysign(math.inf, found.r)
    return Interval(math.tanh(centre - half), math.tanh(centre + half))


def _checked(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    if len(x) != len(y) or len(x) < 3:
        raise ValueError(f"a correlation with a p-value needs at least 3 pairs of values, got {len(x)} and {len(y)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a correlation needs finite values")
    return x, y
