"""Confidence intervals of one evaluation (Wilson, bootstrap), and mean and standard deviation over seeds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from gat_lightning.validate import check_real


class Interval(NamedTuple):
    """A confidence interval, ends included."""

    low: float
    high: float


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion, such as an accuracy (Wilson, 1927).

    Unlike the normal approximation it stays in [0, 1] and has a width at 0 and at ``n`` successes.

    Args:
        successes: from 0 to ``n``.
        n: number of trials, at least 1.
        confidence: in (0, 1).

    Returns:
        Both ends, in [0, 1].

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> wilson_interval(0, 10)
        Interval(low=0.0, high=0.27753279986288926)
    """
    check_real("confidence", confidence, 0, 1, closed="neither", example=0.95)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"an interval of {successes} successes in {n} trials: it needs n >= 1 and 0 <= successes <= n")
    found = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of any statistic of per-image values (Efron and Tibshirani, 1993, chapter 13).

    With ``strata``, images are drawn within each stratum, so every resample has as many of each as the data; with the
    labels as strata, AUROC is defined on every resample.

    Args:
        statistic: called with resampled ``arrays``; returns one number.
        arrays: each with one row per image, resampled together.
        strata: group of each image, ``[n]``; None: a single group.
        confidence: in (0, 1).
        resamples: number of resamples, at least 1.
        seed: seed of the resampling.

    Returns:
        Both ends.

    Raises:
        ValueError: an argument is out of its range, lengths differ or are 0, or the statistic is undefined (NaN) on a
            resample.

    Example:
        >>> bootstrap_interval(roc_auc_score, labels, scores, strata=labels)
    """
    check_real("confidence", confidence, 0, 1, closed="neither", example=0.95)
    rows = [np.asarray(array) for array in arrays]
    groups = np.zeros(len(rows[0]) if rows else 0) if strata is None else np.asarray(strata)
    if resamples < 1 or not rows or len(groups) == 0 or any(len(array) != len(groups) for array in rows):
        raise ValueError(
            f"a bootstrap needs arrays (and strata) of one length above 0 and at least 1 resample, got lengths "
            f"{[len(array) for array in rows]}, strata of {len(groups)} and {resamples} resamples"
        )
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    values = np.empty(resamples)
    for position in range(resamples):
        drawn = np.concatenate([generator.choice(group, len(group)) for group in members])
        values[position] = statistic(*(array[drawn] for array in rows))
    if np.isnan(values).any():
        raise ValueError("the statistic is undefined on some resamples; give the labels as strata to keep every class")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


class MeanStd(NamedTuple):
    """Mean ± standard deviation over ``n`` runs.

    Attributes:
        mean: mean over the runs.
        std: sample standard deviation (divided by n - 1); NaN for a single run.
        n: number of runs.
    """

    mean: float
    std: float
    n: int

    def text(self, digits: int = 2) -> str:
        """``48.38 ± 0.21``; only the mean for a single run."""
        return f"{self.mean:.{digits}f}" + (f" ± {self.std:.{digits}f}" if self.n > 1 else "")


def mean_std(values: ArrayLike) -> MeanStd:
    """Mean and sample standard deviation over seeds.

    Args:
        values: one per run, at least one.

    Raises:
        ValueError: there is none.
    """
    runs = np.asarray(values, dtype=np.float64).ravel()
    if len(runs) == 0:
        raise ValueError("a mean over seeds needs at least one run")
    return MeanStd(float(runs.mean()), float(runs.std(ddof=1)) if len(runs) > 1 else float("nan"), len(runs))
