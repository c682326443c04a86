"""Notes on an evaluation whose scores are doubtful."""

import math
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from gat_lightning.batch import has_label
from gat_lightning.evaluation.doubts import (
    OutputCheck,
    few_labelled_images,
    non_finite_outputs,
    one_class_for_all,
    why_undefined,
    zero_gradients,
)
from gat_lightning.runs.metric_names import CLEAN, MetricName


def doubts(
    checks: Mapping[str, OutputCheck], metrics: Mapping[MetricName, float], classes: Sequence[str], labels: Tensor
) -> Iterator[str]:
    """Reasons to doubt the scores of an evaluation, one sentence each.

    Args:
        checks: what the outputs are, by view.
        metrics: value of each metric.
        classes: names of the target's classes; empty for a regression.
        labels: the target's labels of the whole split.
    """
    split = next(iter(metrics)).split
    for view, check in checks.items():
        for found in (non_finite_outputs(check), zero_gradients(check)):
            if found is not None:
                yield f"{view}: {found}."
    if doubt := one_class_for_all(checks[CLEAN], classes):
        yield f"{CLEAN}: {doubt}."
    if doubt := few_labelled_images(int(has_label(labels).sum()), len(labels), split):
        yield f"{doubt.capitalize()}."
    for name, value in metrics.items():
        if math.isnan(value):
            yield f"{name.shown} is undefined: {why_undefined(name.metric, checks[name.view])}."
