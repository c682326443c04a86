"""Intervals of a setting's figures: over the seeds where there are three, else over the test images."""

import math
from statistics import NormalDist

from scipy.stats import t

from gat_lightning.evaluation.statistics import Interval, wilson_interval
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.runs.result import EvaluationResult

FEWEST_SEEDS = 3
LEVEL = 0.05
_NORMAL = NormalDist().inv_cdf(1 - LEVEL / 2)


def interval(each: Group, metric: MetricName, checkpoint: str) -> Interval | None:
    """The 95 % interval of a mean.

    With three seeds or more it is Student's, over the seeds; it says what another seed may give. With fewer it is over
    the test images, and the mean of the seeds' intervals; it says what other test images may give. None if unknown.
    """
    found = each.summary(metric, checkpoint)
    if found is None:
        return None
    if found.n >= FEWEST_SEEDS:
        half = float(t.ppf(1 - LEVEL / 2, found.n - 1)) * found.std / math.sqrt(found.n)
        low, high = found.mean - half, found.mean + half
        return Interval(max(0.0, low), min(1.0, high)) if metric.is_share else Interval(low, high)
    return over_images(each, metric, checkpoint)


def over_images(each: Group, metric: MetricName, checkpoint: str) -> Interval | None:
    """The mean of the seeds' 95 % intervals over the test images; None if one is unknown."""
    ends = [_of_run(record, metric, checkpoint) for record in each.scored(metric, checkpoint).values()]
    known = [each for each in ends if each is not None]
    if not known or len(known) < len(ends):
        return None
    return Interval(*(math.fsum(side) / len(known) for side in zip(*known, strict=True)))


def standard_error(each: Group, metric: MetricName, checkpoint: str) -> float | None:
    """Standard error of a mean over the test images, from :func:`over_images`."""
    found = over_images(each, metric, checkpoint)
    return None if found is None else (found.high - found.low) / (2 * _NORMAL)


def _of_run(record: Record, metric: MetricName, checkpoint: str) -> Interval | None:
    """What an evaluation recorded; Wilson's for an accuracy over a known number of images without patients."""
    result = record.result
    if isinstance(result, EvaluationResult) and result.intervals:
        measured = next(iter(result.intervals.values())) if record.is_foreign else result.intervals.get(checkpoint, {})
        ends = measured.get(str(record.recorded(checkpoint)[metric]))
        if ends is not None:
            return Interval(*ends)
    has_patients = "per_patient" in (record.configuration.get("data") or {})
    if metric.metric != "accuracy" or record.images is None or has_patients:
        return None
    return wilson_interval(round(record.scores(checkpoint)[metric] * record.images), record.images)
