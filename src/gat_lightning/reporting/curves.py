"""Curves of a report over the training: validation scores with their spread, and weights of the objectives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from gat_lightning.figures.training import weight_shares
from gat_lightning.reporting.drawing import COLOURS, MARKERS, MOST_NAMED, figure, legend, percent, saved
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.reporting.words import axis_words
from gat_lightning.runs.metric_names import MetricName, target_scores

MOST_PANELS = 6


def learning_curves(groups: Sequence[Group], folder: Path) -> list[Path]:
    """Learning curves, mean over the seeds: ``curve_VIEW_METRIC.png`` for at most two validation metrics.

    They are of the first settings, as many as have a colour.
    """
    names = [name for each in groups for record in each.trainings[:1] for name in _validation(record)]
    return [_learning_curve(groups[:MOST_NAMED], name, folder) for name in list(dict.fromkeys(names))[:2]]


def weights(groups: Sequence[Group], folder: Path) -> dict[str, Path]:
    """Share of each objective in the weights over the steps, of the first seed of each setting, by its label."""
    paths: dict[str, Path] = {}
    for each in groups:
        shares = weight_shares(each.trainings[0].history()) if each.trainings and len(paths) < MOST_PANELS else None
        if shares is not None:
            drawn, axes = figure(0.08 * len(shares.names))
            shares.draw(axes)
            axes.set_ylabel("share of the weight")
            paths[each.label] = saved(drawn, folder / f"weights_{len(paths) + 1}.png")
    return paths


def _learning_curve(groups: Sequence[Group], name: MetricName, folder: Path) -> Path:
    """A line for each setting, and a band from the lowest to the highest seed."""
    drawn, axes = figure()
    for number, each in enumerate(groups):
        series = [found for record in each.trainings if (found := _series(record, name))]
        if not series:
            continue
        epochs = sorted(set.intersection(*(set(found) for found in series)))
        table = np.array([[found[epoch] for epoch in epochs] for found in series])
        if len(series) > 1:
            axes.fill_between(epochs, table.min(0), table.max(0), color=COLOURS[number], alpha=0.15, linewidth=0)
        marks = {"marker": MARKERS[number], "markersize": 4, "markevery": max(1, len(epochs) // 8)}
        axes.plot(epochs, table.mean(0), color=COLOURS[number], label=each.label, linewidth=1.4, **marks)  # type: ignore[arg-type]
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {axis_words(name)}")
    percent(axes.yaxis, name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    legend(drawn, axes)
    return saved(drawn, folder / f"curve_{name.view}_{name.metric}.png")


def _validation(record: Record) -> list[MetricName]:
    rows = record.history()
    return target_scores(rows[0] if rows else (), "val")


def _series(record: Record, name: MetricName) -> dict[int, float]:
    """Scores by epoch, counted from 1."""
    return {int(row["epoch"]) + 1: float(row[str(name)]) for row in record.history() if row.get(str(name))}
