"""McNemar's test between two evaluations of the same images, and Holm's correction for many tests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, chi2

EXACT_BELOW = 25
"""Number of discordant pairs below which the chi-square approximation is not used (Dietterich, 1998)."""


@dataclass(frozen=True)
class McNemar:
    """Result of :func:`mcnemar`.

    Attributes:
        both_right: number of images that both classify correctly; with the next three, the contingency table.
        only_first_right: number of images that only the first classifies correctly (discordant).
        only_second_right: number of images that only the second classifies correctly (discordant).
        both_wrong: number of images that both misclassify.
        statistic: the smaller discordant count (``exact``), or chi-square with one degree of freedom.
        p_value: two-sided; 1 without a discordant pair.
        kind: ``exact`` or ``chi-square``.
    """

    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int
    statistic: float
    p_value: float
    kind: Literal["exact", "chi-square"]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain types, for JSON."""
        return asdict(self)


def mcnemar(first_correct: ArrayLike, second_correct: ArrayLike) -> McNemar:
    """McNemar's test of whether two classifiers have the same proportion of errors (paper, appendix C.1).

    Dietterich, "Approximate statistical tests for comparing supervised classification learning algorithms" (Neural
    Computation 10, 1998), section 3.1. Below :data:`EXACT_BELOW` discordant pairs the binomial test is exact;
    otherwise chi-square with Edwards' continuity correction, (|b - c| - 1)² / (b + c).

    Args:
        first_correct: mask of correctly classified images, bool ``[n]``.
        second_correct: mask for the same images in the same order.

    Raises:
        ValueError: the arrays are not bool, are empty or differ in length.
    """
    first, second = _checked("first_correct", first_correct), _checked("second_correct", second_correct)
    if len(first) != len(second):
        raise ValueError(
            f"McNemar's test needs two evaluations of the same images, got {len(first)} and {len(second)} of them"
        )
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    kind: Literal["exact", "chi-square"] = "exact" if b + c < EXACT_BELOW else "chi-square"
    if kind == "exact":
        statistic = float(min(b, c))
        p_value = float(binomtest(b, b + c).pvalue) if b + c else 1.0
    else:
        statistic = (abs(b - c) - 1) ** 2 / (b + c)
        p_value = float(chi2.sf(statistic, 1))
    return McNemar(int((first & second).sum()), b, c, int((~first & ~second).sum()), statistic, p_value, kind)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, which bounds the family-wise error rate (Holm, 1979).

    Args:
        p_values: p-values of all tests, each in [0, 1]; may be empty.

    Returns:
        Adjusted p-values in the same order; reject where one is at most the level.

    Raises:
        ValueError: a p-value is outside [0, 1].
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values must lie in [0, 1], got {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = reached
    return adjusted


def _checked(name: str, correct: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(correct)
    if array.dtype != np.bool_ or array.ndim != 1 or len(array) == 0:
        raise ValueError(
            f"{name} must hold one bool per image (right or wrong), got {array.dtype} of shape {list(array.shape)}"
        )
    return array
