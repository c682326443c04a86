"""The twelve figures of a training that a person or a sweeper wants; ``metrics.csv`` has the others."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from gat_lightning.commands.train.selection import scores_of
from gat_lightning.runs.metric_names import CLEAN, TARGET_SHARE, MetricName, target_scores
from gat_lightning.runs.result import TrainingResult


def summary(result: TrainingResult, rows: Sequence[Mapping[str, str]]) -> dict[str, float | None]:
    """Figures of a training; None where it has none.

    Args:
        result: with epochs, durations and the metrics of the test.
        rows: of its ``metrics.csv``.

    Returns:
        ``epochs`` done; ``best_epoch``, counted from 1; ``best_selection`` and ``last_selection``, the highest and the
        last ``val/selection``; ``best_clean``, ``best_robust``, ``last_clean`` and ``last_robust``, the target's first
        metric on test images, clean and under the strongest attack; ``adversarial_share``, of the weight in the last
        epoch; ``hours``; ``images_per_second``, the median; and ``peak_memory_gib``.
    """
    selection = [score for score in scores_of(rows) if not math.isnan(score)]
    shares, speeds, memory = (_column(rows, name) for name in (TARGET_SHARE, "images_per_second", "peak_memory_gib"))
    best, last = (result.metrics.get(name, {}) for name in ("best", "last"))
    return {
        "epochs": result.epochs,
        "best_epoch": best.get("epoch"),
        "best_selection": max(selection, default=None),
        "last_selection": selection[-1] if selection else None,
        **{f"best_{name}": value for name, value in _scores(best).items()},
        **{f"last_{name}": value for name, value in _scores(last).items()},
        "adversarial_share": shares[-1] if shares else None,
        "hours": result.durations["total"] / 3600,
        "images_per_second": median(speeds) if speeds else None,
        "peak_memory_gib": max(memory, default=None),
    }


def _scores(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """The target's first metric, clean and under the attack with the worst score."""
    names = target_scores(metrics, "test")
    first = [name for name in names if name.metric == names[0].metric]
    clean = next((metrics[str(name)] for name in first if name.view == CLEAN), None)
    attacked = [(name, metrics[str(name)]) for name in first if name.view != CLEAN]
    return {"clean": clean, "robust": _worst(attacked)}


def _worst(scores: Sequence[tuple[MetricName, float]]) -> float | None:
    """The lowest score, the highest error."""
    return min((value for _, value in scores), key=lambda value: _goodness(scores[0][0], value), default=None)


def _goodness(name: MetricName, value: float) -> float:
    return -value if name.lower_is_better else value


def _column(rows: Sequence[Mapping[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row.get(name)]
