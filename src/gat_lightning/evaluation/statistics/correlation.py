"""Pearson's correlation, as in the paper's Figure 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import pearsonr

from gat_lightning.errors import UserError


class Correlation(NamedTuple):
    """Pearson's r with its two-sided p-value over ``n`` points; both NaN where either variable is constant."""

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
        UserError: fewer than three points, lengths that differ, or values that are not finite.
    """
    x, y = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    if len(x) != len(y) or len(x) < 3:
        raise UserError(f"a correlation with a p-value needs at least 3 pairs of values, got {len(x)} and {len(y)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UserError("a correlation needs finite values")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(float("nan"), float("nan"), len(x))
    result = pearsonr(x, y)
    return Correlation(float(result.statistic), float(result.pvalue), len(x))
