"""A report's figures: clean against robust, learning curves, and what the objectives weighed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.reporting.weight_shares import weight_shares

_MOST_CURVES = 12
_MOST_PANELS = 6


def pareto(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points ``[n, 2]``, of which more is better, no other dominates."""
    at_least = np.all(points[None] >= points[:, None], axis=2)
    above = np.any(points[None] > points[:, None], axis=2)
    return ~np.any(at_least & above, axis=1)


def front(groups: Sequence[Group], clean: str, robust: str, checkpoint: str, path: Path) -> Path:
    """Robust against clean scores: a small point per seed, a large one per mean, and the means' Pareto front."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    means = []
    for number, each in enumerate(groups):
        x, y = each.values(clean, checkpoint), each.values(robust, checkpoint)
        seeds = sorted(x.keys() & y.keys())
        if not seeds:
            continue
        points = np.array([(x[seed], y[seed]) for seed in seeds])
        colour = _colour(number, len(groups))
        mean = points.mean(0)
        axes.scatter(points[:, 0], points[:, 1], s=14, color=colour, alpha=0.5, linewidths=0)
        style = {"edgecolors": "black", "linewidths": 0.6, "zorder": 3}
        axes.scatter(mean[:1], mean[1:], s=70, color=colour, label=each.label, **style)  # type: ignore[arg-type]
        means.append(mean)
    if len(means) > 1:
        table = np.array(means)
        best = table[pareto(table)]
        best = best[best[:, 0].argsort()]
        axes.plot(*best.T, color="black", linewidth=1, linestyle="--", zorder=1, label="Pareto front of the means")
    axes.set_xlabel(clean.removeprefix("test/"))
    axes.set_ylabel(robust.removeprefix("test/"))
    _percent(axes, "both")
    _legend(figure, axes)
    return _saved(figure, path)


def learning_curves(groups: Sequence[Group], folder: Path) -> list[Path]:
    """Validation scores over the epochs, mean over the seeds: ``curve_VIEW_METRIC.png`` for at most two of them."""
    names = [name for each in groups for record in each.records for name in _validation(record)]
    return [_learning_curve(groups, name, folder) for name in list(dict.fromkeys(names))[:2]]


def weights(groups: Sequence[Group], folder: Path) -> list[Path]:
    """Share of each objective in the weights over the steps: ``weights_N.png`` for the first seed of each setting."""
    paths: list[Path] = []
    for each in groups:
        trained = [record for record in each.records if not record.is_evaluation]
        shares = weight_shares(trained[0].history()) if trained and len(paths) < _MOST_PANELS else None
        if shares is not None:
            figure = Figure(figsize=(4.6, 3.4), layout="constrained")
            shares.draw(figure.subplots(), each.label)
            paths.append(_saved(figure, folder / f"weights_{len(paths) + 1}.png"))
    return paths


def _learning_curve(groups: Sequence[Group], name: str, folder: Path) -> Path:
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, each in enumerate(groups[:_MOST_CURVES]):
        series = [found for record in each.records if len(found := _series(record, name)) > 0]
        if series:
            length = min(map(len, series))
            mean = np.mean([one[:length] for one in series], axis=0)
            axes.plot(range(1, length + 1), mean, color=_colour(number, len(groups)), label=each.label)
    axes.set_title(name.removeprefix("val/"), fontsize=10)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _percent(axes, "y")
    _legend(figure, axes)
    return _saved(figure, folder / f"curve_{'_'.join(name.split('/')[1:])}.png")


def _validation(record: Record) -> list[str]:
    rows = record.history()
    return [name for name in (rows[0] if rows else {}) if name.startswith("val/") and name.count("/") == 2]


def _series(record: Record, name: str) -> list[float]:
    return [float(row[name]) for row in record.history() if row.get(name)]


def _colour(number: int, count: int) -> tuple[float, float, float, float]:
    palette: Callable[[float], tuple[float, float, float, float]] = colormaps["tab10" if count <= 10 else "turbo"]
    return palette(number if count <= 10 else number / (count - 1))


def _percent(axes: Axes, which: str) -> None:
    axes.grid(alpha=0.3)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if which == "both":
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        wide = max(map(len, labels)) > 30
        figure.legend(handles, labels, loc="outside lower center", fontsize=7, ncols=1 if wide else 2)


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.1)
    figure.savefig(path.with_suffix(".svg"), bbox_inches="tight", pad_inches=0.1)
    return path
