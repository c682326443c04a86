"""Scatter plots of settings: robustness over clean accuracy and over cost, with the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from gat_lightning.reporting.drawing import COLOURS, MARKERS, MOST_NAMED, figure, legend, number_points, percent, saved
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.summary import training_seconds
from gat_lightning.reporting.words import axis_words
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.runs.telling import time_unit

FRONT = "Pareto front of the means"
_WIDE_RANGE = 8


@dataclass(frozen=True)
class Point:
    """A setting in a scatter plot.

    Attributes:
        number: of its row in the table.
        label: its label.
        runs: coordinates of its seeds, ``[n, 2]``.
    """

    number: int
    label: str
    runs: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Over the seeds, ``[2]``."""
        return self.runs.mean(0)


def pareto(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask of the Pareto-optimal points of ``[n, 2]``; higher is better."""
    at_least = np.all(points[None] >= points[:, None], axis=2)
    above = np.any(points[None] > points[:, None], axis=2)
    return ~np.any(at_least & above, axis=1)


def front(groups: Sequence[Group], clean: MetricName, robust: MetricName, checkpoint: str, path: Path) -> Path | None:
    """Plot robust over clean scores; None if no setting has both."""
    points = []
    for number, each in enumerate(groups, 1):
        x, y = each.values(clean, checkpoint), each.values(robust, checkpoint)
        if seeds := sorted(x.keys() & y.keys()):
            points.append(Point(number, each.label, np.array([(x[seed], y[seed]) for seed in seeds])))
    if not points:
        return None
    drawn, axes = figure()
    _scatter(drawn, axes, points, [-1 if name.lower_is_better else 1 for name in (clean, robust)])
    axes.set_xlabel(axis_words(clean))
    axes.set_ylabel(axis_words(robust))
    percent(axes.xaxis, clean)
    percent(axes.yaxis, robust)
    if len(points) <= MOST_NAMED:
        legend(drawn, axes)
    return saved(drawn, path)


def cost(groups: Sequence[Group], robust: MetricName, checkpoint: str, path: Path) -> Path | None:
    """Plot robust scores over the time of a training; None with fewer than two settings that have both."""
    known = [(number, each, training_seconds(each)) for number, each in enumerate(groups, 1)]
    unit, length = time_unit(max((seconds or 0.0 for _, _, seconds in known), default=0.0))
    points = [
        Point(number, each.label, np.array([(seconds / length, found.mean)]))
        for number, each, seconds in known
        if seconds and (found := each.summary(robust, checkpoint)) is not None
    ]
    if len(points) < 2:
        return None
    drawn, axes = figure()
    times = [point.mean[0] for point in points]
    if max(times) > _WIDE_RANGE * min(times):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time:g}"))
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    _scatter(drawn, axes, points, [-1, -1 if robust.lower_is_better else 1])
    axes.set_xlabel(f"time of one training ({unit})")
    axes.set_ylabel(axis_words(robust))
    percent(axes.yaxis, robust)
    if len(points) <= MOST_NAMED:
        legend(drawn, axes)
    return saved(drawn, path)


def _scatter(drawn: Figure, axes: Axes, points: Sequence[Point], signs: Sequence[int]) -> None:
    """Small points are seeds, large ones means, by name or, where there are many, by number; the front lies on top."""
    axes.margins(0.08)
    means = np.array([point.mean for point in points])
    many = len(points) > MOST_NAMED
    for place, point in enumerate(points):
        colour, marker, size = (COLOURS[0], "o", 30) if many else (COLOURS[place], MARKERS[place], 70)
        if len(point.runs) > 1:
            axes.scatter(point.runs[:, 0], point.runs[:, 1], s=12, color=colour, alpha=0.35, linewidths=0)
        x, y = point.mean[:1], point.mean[1:]
        edge = {"edgecolors": "black", "linewidths": 0.6, "zorder": 3}
        axes.scatter(x, y, s=size, color=colour, marker=marker, label=point.label, **edge)  # type: ignore[arg-type]
    best = np.unique(means[pareto(means * signs)], axis=0)
    if len(best) > 1:  # one point is no line
        axes.plot(*best.T, color="black", linewidth=1.4, linestyle="--", zorder=4, label=FRONT)
    if many:
        number_points(drawn, axes, means, [str(point.number) for point in points])
