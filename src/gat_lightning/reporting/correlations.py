"""Measures of gradients, and their correlation with robust accuracy over the models of a report (paper, Figure 1)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from gat_lightning.evaluation.statistics import Correlation, Interval, fisher_interval, pearson, spearman
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.reporting.tables import as_csv, table_lines
from gat_lightning.reporting.words import axis_words, p_words
from gat_lightning.runs.metric_names import Figure, MetricName, objective_columns
from gat_lightning.runs.result import EvaluationResult

ALL = "all"
HEADERS = ("measure", "models", "n", "Pearson's r", "95 % interval", "p", "Spearman's ρ", "95 % interval", "p")
_FEWEST = 3
OF_TASKS = {
    "cosine": "cosine (definition 3.2)",
    "magnitude_similarity": "magnitude similarity (definition 3.3)",
    "curvature": "curvature measure (definition 3.4)",
}
"""Measures of two tasks' input gradients, by their names in the ``task_gradients`` of a result, with their titles."""


@dataclass(frozen=True)
class Model:
    """A model of the correlation: one point.

    Attributes:
        setting: its label.
        seed: seed of its training.
        method: its training method; empty if unknown.
        robust: its robust score.
        measures: measures of its gradients, by title.
    """

    setting: str
    seed: int
    method: str
    robust: float
    measures: dict[str, float]


@dataclass(frozen=True)
class Line:
    """The correlation of a measure with the robust score.

    Attributes:
        measure: its title.
        models: :data:`ALL`, or a training method.
        linear: Pearson's coefficient.
        ranked: Spearman's.
    """

    measure: str
    models: str
    linear: Correlation
    ranked: Correlation

    @property
    def intervals(self) -> tuple[Interval, Interval]:
        """95 % intervals of both coefficients."""
        return fisher_interval(self.linear), fisher_interval(self.ranked, of_ranks=True)

    @property
    def texts(self) -> tuple[str, ...]:
        """One cell for each of :data:`HEADERS`."""
        shown = [
            text
            for found, interval in zip((self.linear, self.ranked), self.intervals, strict=True)
            for text in (f"{found.r:.2f}", f"{interval.low:.2f} to {interval.high:.2f}", p_words(found.p_value))
        ]
        return (self.measure, self.models, str(self.linear.n), *shown)


def models(groups: Sequence[Group], robust: MetricName, checkpoint: str) -> list[Model]:
    """One point for each setting and seed with a robust score and a measure."""
    found = []
    for each in groups:
        for seed, score in sorted(each.values(robust, checkpoint).items()):
            records = [record for record in each.records if record.seed == seed]
            measures: dict[str, float] = {}
            for record in records:
                if not isinstance(record.result, EvaluationResult):
                    measures |= of_training(record.history())
                elif record.metrics(checkpoint):
                    measures |= of_evaluation(record.result)
            if measures and math.isfinite(score):
                found.append(Model(each.label, seed, _method(records[0]), score, measures))
    return found


def correlate(points: Sequence[Model]) -> list[Line]:
    """Correlate each measure with the robust score over all models, and per method if there are several methods.

    Skipped: fewer than three models, and constant measures or scores.
    """
    titles = dict.fromkeys(title for point in points for title in point.measures)
    methods = list(dict.fromkeys(point.method for point in points))
    lines = []
    for title in titles:
        for name in [ALL, *(methods if len(methods) > 1 else [])]:
            chosen = [point for point in points if title in point.measures and name in (ALL, point.method)]
            if len(chosen) >= _FEWEST:
                x, y = [point.robust for point in chosen], [point.measures[title] for point in chosen]
                line = Line(title, name, pearson(x, y), spearman(x, y))
                lines += [] if math.isnan(line.linear.r) else [line]
    return lines


def points_as_csv(points: Sequence[Model], robust: MetricName) -> str:
    """All points as CSV, not rounded: one line per model and measure."""
    rows = [
        [point.setting, point.seed, point.method, repr(point.robust), title, repr(value)]
        for point in points
        for title, value in point.measures.items()
    ]
    return as_csv(["setting", "seed", "method", str(robust), "measure", "value"], rows)


def lines_as_csv(lines: Sequence[Line]) -> str:
    """All coefficients as CSV, not rounded."""
    names = ["r", "r_low", "r_high", "r_p_value", "rho", "rho_low", "rho_high", "rho_p_value"]
    rows = [
        [line.measure, line.models, line.linear.n]
        + [
            repr(value)
            for found, interval in zip((line.linear, line.ranked), line.intervals, strict=True)
            for value in (found.r, *interval, found.p_value)
        ]
        for line in lines
    ]
    return as_csv(["measure", "models", "n", *names], rows)


def markdown(lines: Sequence[Line]) -> str:
    """Markdown, for a README."""
    return table_lines([HEADERS, *(line.texts for line in lines)])


def caption(robust: MetricName) -> str:
    """Caption: the meaning of the points, and the assumptions of the p-values."""
    return (
        f"Measures of the gradients against {axis_words(robust)}: a point is a model, a setting with a seed."
        " Of the tasks: input gradients of an evaluation with vulnerability=true, mean over its images and the"
        " pairs of tasks. In training: parameter gradients, mean over the last epoch and the objectives or their pairs."
        " Intervals are 95 %, by Fisher's z; they and the p-values take the models for independent and are not adjusted"
        " for the number of lines."
    )


def _method(record: Record) -> str:
    target = (record.configuration.get("method") or {}).get("_target_", "")
    return str(target).rpartition(".")[2]


def of_pairs(evaluation: EvaluationResult, measure: str) -> list[float]:
    """A measure of :data:`OF_TASKS`, mean over the images, of each pair of tasks in an evaluation."""
    return [_number(pair[measure]["mean"]) for pair in (evaluation.task_gradients or {}).values()]


def of_evaluation(evaluation: EvaluationResult) -> dict[str, float]:
    """By title: the measures of the tasks' gradients, mean over the pairs, and the vulnerability to each attack.

    Earlier versions recorded the mean increase with its sign as the vulnerability, and no ``mean_increase``; theirs is
    left out.
    """
    found = {title: _mean(of_pairs(evaluation, measure)) for measure, title in OF_TASKS.items()}
    for attack, each in (evaluation.vulnerability or {}).items():
        budget = f"{attack}, {each['norm']} {each['eps']:.3g}"
        if "mean_increase" in each:
            found[f"vulnerability ({budget}; definition 2.1)"] = _number(each["vulnerability"])
        found[f"first-order vulnerability ({budget}; lemma A.2)"] = _number(each["first_order"])
    return _finite(found)


def of_training(rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """By title: mean over the logged steps of the last epoch, and over the objectives or their pairs.

    Args:
        rows: rows of ``metrics.csv``.
    """
    told = [row for row in rows if row.get("stationarity")]
    last = [row for row in told if row.get("epoch") == told[-1].get("epoch")]
    norms = [_values(row, "norm") for row in last]
    return _finite(
        {
            "cosine of the objectives in training": _mean(x for row in last for x in _values(row, "cosine")),
            "magnitude similarity of the objectives in training": _mean(
                2 * a * b / (a**2 + b**2) for row in norms for a, b in combinations(row, 2) if a or b
            ),
            "gradient norm of the objectives in training": _mean(x for row in norms for x in row),
        }
    )


def _number(value: float | None) -> float:
    """A number of a result, in which null means non-finite."""
    return math.nan if value is None else float(value)


def _values(row: Mapping[str, str], figure: Figure) -> list[float]:
    return [float(row[name]) for name in objective_columns(row, figure).values() if row[name]]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found) if found else math.nan


def _finite(found: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if math.isfinite(value)}
