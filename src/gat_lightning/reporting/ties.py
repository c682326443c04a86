"""Which settings are the best in a metric, or cannot be told from the best one."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from gat_lightning.errors import UserError
from gat_lightning.evaluation.paired import load_correct
from gat_lightning.evaluation.statistics import MeanStd, holm, mcnemar
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.intervals import FEWEST_SEEDS, LEVEL, standard_error
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import MetricName

EXPLANATION = (
    "Bold: the best of a column, and what a test cannot tell from it (5 %, Holm's correction): Student's t-test over"
    " three seeds or more, else McNemar's or a z-test over the test images."
)


def best(groups: Sequence[Group], metric: MetricName, checkpoint: str) -> list[bool]:
    """Whether each group is the best one, or one that a test does not tell from it.

    Only figures over the same images are compared: those over the images that most groups have. No group is the best
    where no test can be made.
    """
    tested = [each.tested(metric, checkpoint) for each in groups]
    counts = Counter(images for images in tested if images is not None)
    if not counts:
        return [False] * len(groups)
    most = max(counts, key=lambda images: (counts[images], images[0] or 0))
    like = [number for number, images in enumerate(tested) if images == most]
    means = {number: found.mean for number in like if (found := groups[number].summary(metric, checkpoint)) is not None}
    means = {number: mean for number, mean in means.items() if math.isfinite(mean)}
    if len(means) < 2:
        return [False] * len(groups)
    first = (min if metric.lower_is_better else max)(means, key=means.__getitem__)
    tests = {number: _p_value(groups[first], groups[number], metric, checkpoint) for number in means if number != first}
    made = {number: p_value for number, p_value in tests.items() if p_value is not None}
    if not made:
        return [False] * len(groups)
    alike = [number for number, p in zip(made, holm(list(made.values())), strict=True) if p > LEVEL]
    return [number in (first, *alike) for number in range(len(groups))]


def _p_value(one: Group, other: Group, metric: MetricName, checkpoint: str) -> float | None:
    """Two-sided; None if no test can be made."""
    first, second = one.summary(metric, checkpoint), other.summary(metric, checkpoint)
    assert first is not None
    assert second is not None
    if min(first.n, second.n) >= FEWEST_SEEDS:
        return _student(first, second)
    paired = _paired(one, other, metric, checkpoint)
    if paired is not None:
        return paired
    errors = [standard_error(each, metric, checkpoint) for each in (one, other)]
    if errors[0] is None or errors[1] is None:
        return None
    error = math.hypot(errors[0], errors[1])
    return 2 * float(norm.sf(abs(first.mean - second.mean) / error)) if error > 0 else float(first.mean == second.mean)


def _student(first: MeanStd, second: MeanStd) -> float:
    """Student's t-test. Welch's would have hardly more than two degrees of freedom with three seeds."""
    freedom = first.n + second.n - 2
    variance = ((first.n - 1) * first.std**2 + (second.n - 1) * second.std**2) / freedom
    if variance == 0:
        return float(first.mean == second.mean)
    error = math.sqrt(variance * (1 / first.n + 1 / second.n))
    return 2 * float(t.sf(abs(first.mean - second.mean) / error, freedom))


def _paired(one: Group, other: Group, metric: MetricName, checkpoint: str) -> float | None:
    """McNemar's test over the images of all common seeds; the outcomes of one image, or patient, stay together."""
    if metric.metric != "accuracy":
        return None
    runs = [each.scored(metric, checkpoint) for each in (one, other)]
    masks: list[tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]] = []
    for seed in sorted(runs[0].keys() & runs[1].keys()):
        pair = [found[seed] for found in runs]
        views = {record.recorded(checkpoint)[metric].view for record in pair}
        if len(views) > 1 or not all(RunDirectory(record.directory).predictions.is_file() for record in pair):
            return None
        try:
            correct, patients = load_correct({str(n): str(record.directory) for n, record in enumerate(pair)}, *views)
        except (UserError, OSError, ValueError):
            return None
        images = np.arange(len(correct["0"])) if patients is None else patients
        masks.append((correct["0"], correct["1"], images))
    if not masks:
        return None
    first, second, together = (np.concatenate(parts) for parts in zip(*masks, strict=True))
    return mcnemar(first, second, together).p_value
