"""Metrics of an evaluation with their 95 % intervals, under the names that reports look for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gat_lightning.evaluation.outcomes import Outcomes, auroc, measure
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.statistics import bootstrap_interval, wilson_interval
from gat_lightning.runs.metric_names import MetricName


class Scores(NamedTuple):
    """The value of each metric, and its 95 % interval ``[low, high]``."""

    metrics: dict[MetricName, float]
    intervals: dict[MetricName, list[float]]


def score(predictions: Predictions, split: str, seed: int = 0) -> Scores:
    """Every metric of every view, with its 95 % interval over images.

    Wilson's interval for accuracy; a bootstrap for AUROC, within classes, and for the mean absolute error.

    Args:
        predictions: of the evaluation.
        split: that the predictions are of, as in ``test/clean/accuracy``.
        seed: of the bootstrap.
    """
    scores = Scores({}, {})
    for view, outcomes in predictions.views.items():
        for metric, value in measure(predictions.kind, outcomes, predictions.labels).items():
            name = MetricName(split, view, metric)
            scores.metrics[name] = value
            if not math.isnan(value):
                scores.intervals[name] = list(_interval(metric, outcomes, predictions, seed))
    return scores


def _interval(metric: str, outcomes: Outcomes, predictions: Predictions, seed: int) -> tuple[float, float]:
    labels = predictions.labels
    if metric == "accuracy":
        return wilson_interval(int(outcomes.correct.sum()), len(labels))
    if metric == "auroc":
        return bootstrap_interval(auroc, labels, outcomes.score, strata=labels, seed=seed)
    errors = np.abs(outcomes.score - labels.astype(np.float32))
    return bootstrap_interval(lambda drawn: float(drawn.mean()), errors, seed=seed)
