"""Confidence intervals of one evaluation (Wilson, bootstrap), and mean and standard deviation over seeds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm

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

    Examples:
        >>> wilson_interval(0, 10)
        Interval(low=0.0, high=0.27753279986288926)
    """
    check_real("confidence", confidence, 0, 1, closed="neither", example=0.95)
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"an interval of {successes} successes in {n} trials: it needs n >= 1 and 0 <= successes <= n")
    found = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def accuracy_interval(correct: ArrayLike, groups: ArrayLike | None = None, confidence: float = 0.95) -> Interval:
    """Wilson's interval of an accuracy, by the effective number of images where they belong to patients.

    That is their number divided by the design effect, the variance of the accuracy between patients over that of
    independent images (Rao and Scott, "A simple method for the analysis of clustered binary data", Biometrics 48, 1992;
    Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", Survey Methodology 24, 1998). The design effect is at least 1. With one patient, or with all
    images right or all wrong, it cannot be estimated and is at its largest, as if all images of a patient were always
    right or wrong together. If every patient has one image, this is :func:`wilson_interval`.

    Args:
        correct: mask of correctly classified images, bool ``[n]``.
        groups: patient of each image, ``[n]``; None: each image stands for itself.
        confidence: in (0, 1).

    Returns:
        Both ends, in [0, 1].

    Raises:
        ValueError: an argument is out of range, or lengths differ or are 0.
    """
    if groups is None:
        return wilson_interval(int(np.sum(correct)), np.size(correct), confidence)
    check_real("confidence", confidence, 0, 1, closed="neither", example=0.95)
    right, patients = np.asarray(correct, dtype=np.float64), np.asarray(groups)
    n, share = len(right), float(right.mean()) if len(right) else 0.0
    if n == 0 or right.shape != patients.shape:
        raise ValueError(f"an interval needs a group per image, got {list(right.shape)} and {list(patients.shape)}")
    _, of_image, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    effect = float((sizes**2).sum()) / n
    if 0 < share < 1 and len(sizes) > 1:
        residuals = np.bincount(of_image, right) - share * sizes
        effect = max(1.0, float((residuals**2).sum()) / (n * share * (1 - share)))
    z2 = float(norm.ppf((1 + confidence) / 2)) ** 2 * effect / n
    centre, half = (share + z2 / 2) / (1 + z2), np.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return Interval(max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    strata: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of any statistic of per-image values (Efron and Tibshirani, 1993, chapter 13).

    With ``strata``, images are drawn within each stratum, so every resample has as many of each as the data; with the
    labels as strata, AUROC is defined on every resample.

    With ``groups``, whole patients are drawn instead of images (Davison and Hinkley, "Bootstrap methods and their
    application", 1997, section 3.8). The stratum of a patient is then the set of those of its images.

    Args:
        statistic: called with resampled ``arrays``; returns one number.
        arrays: each with one row per image, resampled together.
        strata: stratum of each image, ``[n]``; None: a single one.
        groups: patient of each image, ``[n]``; None: each image stands for itself.
        confidence: in (0, 1).
        resamples: number of resamples, at least 1.
        seed: seed of the resampling.

    Returns:
        Both ends.

    Raises:
        ValueError: an argument is out of its range, lengths differ or are 0, or the statistic is undefined (NaN) on a
            resample.

    Examples:
        >>> bootstrap_interval(roc_auc_score, labels, scores, strata=labels)
    """
    check_real("confidence", confidence, 0, 1, closed="neither", example=0.95)
    rows = [np.asarray(array) for array in arrays]
    count = len(rows[0]) if rows else 0
    stratum = np.zeros(count) if strata is None else np.asarray(strata)
    group = np.arange(count) if groups is None else np.asarray(groups)
    if resamples < 1 or count == 0 or any(len(array) != count for array in (*rows, stratum, group)):
        raise ValueError(
            f"a bootstrap needs arrays (and strata and groups) of one length above 0 and at least 1 resample, got "
            f"lengths {[len(array) for array in rows]}, strata of {len(stratum)}, groups of {len(group)} and "
            f"{resamples} resamples"
        )
    generator = np.random.default_rng(seed)
    images, first, sizes = _images_by_group(group)
    members = _groups_by_stratum(group, stratum)
    values = np.empty(resamples)
    for position in range(resamples):
        drawn = np.concatenate([generator.choice(alike, len(alike)) for alike in members])
        chosen = sizes[drawn]
        within = np.arange(chosen.sum()) - np.repeat(chosen.cumsum() - chosen, chosen)
        positions = images[np.repeat(first[drawn], chosen) + within]
        values[position] = statistic(*(array[positions] for array in rows))
    if np.isnan(values).any():
        raise ValueError("the statistic is undefined on some resamples; give the labels as strata to keep every class")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def _images_by_group(group: NDArray[np.generic]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the images, sorted by group; where each group begins among them; and its number of images."""
    sizes = np.unique(group, return_counts=True)[1]
    return np.argsort(group, kind="stable"), sizes.cumsum() - sizes, sizes


def _groups_by_stratum(group: NDArray[np.generic], stratum: NDArray[np.generic]) -> list[NDArray[np.intp]]:
    """Numbers of the groups of each stratum: of those whose images have the same set of strata."""
    numbers, of_image = np.unique(group, return_inverse=True)
    kinds, kind_of_image = np.unique(stratum, return_inverse=True)
    present = np.zeros((len(numbers), len(kinds)), dtype=bool)
    present[of_image, kind_of_image] = True
    stratum_of_group = np.unique(~present, axis=0, return_inverse=True)[1].ravel()
    return [np.flatnonzero(stratum_of_group == each) for each in range(stratum_of_group.max() + 1)]


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
