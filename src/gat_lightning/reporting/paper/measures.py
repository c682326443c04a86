"""Measures of the paper's tables that are not a metric of a single run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gat_lightning.evaluation.statistics import MeanStd, hypervolume, mean_std, pearson
from gat_lightning.reporting.correlations import of_pairs
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.paper.published import Column, Row
from gat_lightning.reporting.records import Record
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.runs.result import EvaluationResult


@dataclass(frozen=True)
class CellRuns:
    """Runs for the measurement of one cell.

    Attributes:
        row: row of the cell.
        column: column of the cell.
        groups: settings whose runs have the overrides of the row and the column, with all seeds.
        table: all runs of the table at this scale.
        checkpoint: checkpoint whose metrics count, ``best`` or ``last``.
    """

    row: Row
    column: Column
    groups: list[Group]
    table: Sequence[Record]
    checkpoint: str


class Measure(Protocol):
    """Measure of a cell."""

    def __call__(self, runs: CellRuns) -> list[tuple[str, MeanStd]]:
        """Values with a note each; the note is empty for a single value. Empty if runs are missing.

        Proportions are in [0, 1]; ``n`` of a value is the number of runs or points behind it.
        """
        ...


class Metric:
    """Metric of a run over its seeds, separately for each setting if runs differ in more than the seed.

    Args:
        name: name in ``result.json``, such as ``test/pgd10/accuracy``.
    """

    def __init__(self, name: str) -> None:
        self.name = MetricName.parse(name)

    def __call__(self, runs: CellRuns) -> list[tuple[str, MeanStd]]:
        """One value for each setting that has the metric."""
        found = [(group.label, group.summary(self.name, runs.checkpoint)) for group in runs.groups]
        several = len(found) > 1
        return [(label if several else "", summary) for label, summary in found if summary is not None]


class FrontVolume:
    """Hyper-volume of a front of models in (clean error, robust error), against (1, 1); see Table 14.

    Args:
        of: ``dominated`` (higher is better), or ``complement``, which is 1 minus that (lower is better).
        clean: metric, a share, on clean images.
        robust: likewise on adversarial images.
    """

    def __init__(self, of: str, clean: str, robust: str) -> None:
        self.of, self.clean, self.robust = of, MetricName.parse(clean), MetricName.parse(robust)

    def __call__(self, runs: CellRuns) -> list[tuple[str, MeanStd]]:
        """Front of all settings, by the means over seeds; empty without the extra ``report``."""
        pairs = [[group.summary(name, runs.checkpoint) for name in (self.clean, self.robust)] for group in runs.groups]
        points = [[1 - value.mean for value in pair if value is not None] for pair in pairs if None not in pair]
        try:
            volume = float(getattr(hypervolume(points), self.of)) if points else None
        except ImportError:  # moocore is an extra
            volume = None
        return [] if volume is None else [("", MeanStd(volume, math.nan, len(points)))]


class GradientCorrelation:
    """Pearson's r between a metric and a measure on the gradients of the target and one auxiliary task; see Figure 1.

    Args:
        of: ``cosine``, ``magnitude_similarity`` or ``curvature`` of an evaluation with ``vulnerability=true``.
        with_metric: metric of the same model.
    """

    def __init__(self, of: str, with_metric: str) -> None:
        self.of, self.with_metric = of, MetricName.parse(with_metric)

    def __call__(self, runs: CellRuns) -> list[tuple[str, MeanStd]]:
        """Correlation over the settings, by the means over seeds; empty for fewer than three or for constant values."""
        points = []
        for group in runs.groups:
            metric, gradients = group.summary(self.with_metric, runs.checkpoint), self._means(group.records)
            if metric is not None and gradients:
                points.append((metric.mean, mean_std(gradients).mean))
        r = pearson(*zip(*points, strict=True)).r if len(points) >= 3 else math.nan
        return [] if math.isnan(r) else [("", MeanStd(r, math.nan, len(points)))]

    def _means(self, records: Sequence[Record]) -> list[float]:
        evaluations = [record.result for record in records if isinstance(record.result, EvaluationResult)]
        pairs = [of_pairs(evaluation, self.of) for evaluation in evaluations]
        return [pair[0] for pair in pairs if len(pair) == 1]


class SuccessRate:
    """Success rate of attacks transferred from the row's model to the column's: 1 - robust accuracy; see Table 17.

    Uses evaluations with ``surrogate=...``, which name models by their run directories. Earlier versions recorded the
    rate among images that are classified correctly when clean alone; their evaluations are left out.
    """

    def __call__(self, runs: CellRuns) -> list[tuple[str, MeanStd]]:
        """Mean over the evaluations that have both models."""
        trained = {record.directory.name: row_of(record) for record in runs.table if not record.is_evaluation}
        found = []
        for record in runs.table:
            if not isinstance(record.result, EvaluationResult):
                continue
            models = {**trained, **dict.fromkeys(record.result.metrics, row_of(record))}
            found += [
                float(rate)
                for source, row in (record.result.transfer or {}).get("success_of_all", {}).items()
                for victim, rate in row.items()
                if set(runs.row.settings) <= models.get(source, set())
                and set(runs.column.settings) <= models.get(victim, set())
                and rate is not None
            ]
        return [("", mean_std(found))] if found else []


def row_of(record: Record) -> set[str]:
    """Overrides that distinguish a run from the others of its table."""
    return set((record.configuration.get("paper") or {}).get("row") or ())
