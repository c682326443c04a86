"""McNemar's test between two evaluations of the same images, and Holm's correction for many tests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

EXACT_BELOW = 25
"""Number of discordant images (or patients) below which the chi-square approximation is not used (Dietterich, 1998)."""


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
        patients: number of patients that were compared; None if each image stands for itself.
    """

    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int
    statistic: float
    p_value: float
    kind: Literal["exact", "chi-square"]
    patients: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain types, for JSON."""
        return asdict(self)


def mcnemar(first_correct: ArrayLike, second_correct: ArrayLike, groups: ArrayLike | None = None) -> McNemar:
    """McNemar's test of whether two classifiers have the same proportion of errors (paper, appendix C.1).

    Dietterich, "Approximate statistical tests for comparing supervised classification learning algorithms" (Neural
    Computation 10, 1998), section 3.1. Below :data:`EXACT_BELOW` discordant pairs the binomial test is exact;
    otherwise chi-square with Edwards' continuity correction, (|b - c| - 1)² / (b + c).

    With ``groups``, whole patients are compared by their differences d_k = b_k - c_k: Obuchowski's test for clustered
    matched pairs (Statistics in Medicine 17, 1998; in the form of Yang, Sun and Hardin, 2010), with the same continuity
    correction, (|Σ d_k| - 1)² / Σ d_k². Below :data:`EXACT_BELOW` patients with a difference it is the exact
    permutation test that exchanges both classifiers' answers of whole patients. If every patient has one image, both
    are the tests above.

    Args:
        first_correct: mask of correctly classified images, bool ``[n]``.
        second_correct: mask for the same images in the same order.
        groups: patient of each image, ``[n]``; None: each image stands for itself.

    Raises:
        ValueError: the masks are not bool, are empty, or lengths differ.
    """
    first, second = _checked("first_correct", first_correct), _checked("second_correct", second_correct)
    if len(first) != len(second):
        raise ValueError(
            f"McNemar's test needs two evaluations of the same images, got {len(first)} and {len(second)} of them"
        )
    group = np.arange(len(first)) if groups is None else np.asarray(groups)
    if group.shape != first.shape:
        raise ValueError(f"McNemar's test needs a group per image, got {list(group.shape)} for {len(first)} images")
    numbers, of_image = np.unique(group, return_inverse=True)
    differences = np.bincount(of_image, first.astype(np.int64) - second).astype(np.int64)
    differences = differences[differences != 0]
    kind: Literal["exact", "chi-square"] = "exact" if len(differences) < EXACT_BELOW else "chi-square"
    if kind == "exact":
        statistic = float(min(differences.clip(min=0).sum(), -differences.clip(max=0).sum()))
        p_value = _permutation_p_value(differences)
    else:
        statistic = (abs(int(differences.sum())) - 1) ** 2 / int((differences**2).sum())
        p_value = float(chi2.sf(statistic, 1))
    table = [int((one & other).sum()) for one in (first, ~first) for other in (second, ~second)]
    both_right, only_first, only_second, both_wrong = table
    patients = None if groups is None else len(numbers)
    return McNemar(both_right, only_first, only_second, both_wrong, statistic, p_value, kind, patients)


def _permutation_p_value(differences: NDArray[np.int64]) -> float:
    """Probability that a sum with random signs is at least as far from 0 as the sum of the differences."""
    sizes = np.abs(differences)
    probabilities = np.ones(1)  # of each value of the sum, from -sizes.sum() to it
    for size in sizes:
        both_signs = np.zeros(len(probabilities) + 2 * size)
        both_signs[: len(probabilities)] += probabilities / 2
        both_signs[2 * size :] += probabilities / 2
        probabilities = both_signs
    values = np.arange(len(probabilities)) - sizes.sum()
    return min(1.0, float(probabilities[np.abs(values) >= abs(differences.sum())].sum()))


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
