"""Measures of the gradients of a run's tasks and objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from gat_lightning.runs.metric_names import Figure, objective_columns
from gat_lightning.runs.result import EvaluationResult

OF_TASKS = {
    "cosine": "cosine (definition 3.2)",
    "magnitude_similarity": "magnitude similarity (definition 3.3)",
    "curvature": "curvature measure (definition 3.4)",
}
"""Measures of two tasks' input gradients, by their names in the ``task_gradients`` of a result, with their titles."""


def of_pairs(evaluation: EvaluationResult, measure: str) -> list[float]:
    """A measure of :data:`OF_TASKS`, mean over the images, of each pair of tasks in an evaluation."""
    return [_number(pair[measure]["mean"]) for pair in (evaluation.task_gradients or {}).values()]


def of_evaluation(evaluation: EvaluationResult) -> dict[str, float]:
    """By title: the measures of the tasks' gradients, mean over the pairs, and the vulnerability to each attack."""
    found = {title: _mean(of_pairs(evaluation, measure)) for measure, title in OF_TASKS.items()}
    for attack, each in (evaluation.vulnerability or {}).items():
        budget = f"{attack}, {each['norm']} {each['eps']:.3g}"
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
