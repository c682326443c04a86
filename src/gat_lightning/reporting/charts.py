"""Charts of a report: robust over clean accuracy, learning curves, and weights of the objectives."""

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from gat_lightning.figures.training import weight_shares
from gat_lightning.reporting.correlations import ALL, Line, Model
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.runs.metric_names import MetricName, target_scores

_WIDTH = 4.6
_LABEL = 56
_LINE = 0.16
MOST_CURVES = 12
MOST_PANELS = 6


def pareto(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask of the Pareto-optimal points of ``[n, 2]``; higher is better."""
    at_least = np.all(points[None] >= points[:, None], axis=2)
    above = np.any(points[None] > points[:, None], axis=2)
    return ~np.any(at_least & above, axis=1)


def front(groups: Sequence[Group], clean: MetricName, robust: MetricName, checkpoint: str, path: Path) -> Path:
    """Plot robust over clean scores: a small point per seed, a large one per mean, and their Pareto front."""
    figure = Figure(figsize=(_WIDTH, 3.4), layout="constrained")
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
        best = table[pareto(table * [-1 if name.lower_is_better else 1 for name in (clean, robust)])]
        best = best[best[:, 0].argsort()]
        if len(best) > 1:  # one point is no line
            axes.plot(*best.T, color="black", linewidth=1, linestyle="--", zorder=1, label="Pareto front of the means")
    axes.set_xlabel(clean.shown)
    axes.set_ylabel(robust.shown)
    _grid(axes, clean, robust)
    _legend(figure, axes)
    return _saved(figure, path)


def learning_curves(groups: Sequence[Group], folder: Path) -> list[Path]:
    """Learning curves, mean over the seeds: ``curve_VIEW_METRIC.png`` for at most two validation metrics."""
    names = [name for each in groups for record in each.records for name in _validation(record)]
    return [_learning_curve(groups, name, folder) for name in list(dict.fromkeys(names))[:2]]


def weights(groups: Sequence[Group], folder: Path) -> list[Path]:
    """Share of each objective in the weights over the steps: ``weights_N.png`` for the first seed of each setting."""
    paths: list[Path] = []
    for each in groups:
        trained = sorted((r for r in each.records if not r.is_evaluation), key=lambda record: record.seed)
        shares = weight_shares(trained[0].history()) if trained and len(paths) < MOST_PANELS else None
        if shares is not None:
            figure = Figure(figsize=(_WIDTH, 3 + _LINE * len(shares.names) / 2), layout="constrained")
            shares.draw(figure.subplots(), each.label)
            paths.append(_saved(figure, folder / f"weights_{len(paths) + 1}.png"))
    return paths


def measures(points: Sequence[Model], lines: Sequence[Line], robust: MetricName, folder: Path) -> list[Path]:
    """Scatter plots of the robust score over each gradient measure: ``gradients_N.png``, a point per model."""
    methods = list(dict.fromkeys(point.method for point in points))
    paths: list[Path] = []
    for line in (line for line in lines if line.models == ALL):
        figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
        axes = figure.subplots()
        for number, method in enumerate(methods):
            chosen = [point for point in points if point.method == method and line.measure in point.measures]
            if chosen:
                x, y = zip(*((point.robust, point.measures[line.measure]) for point in chosen), strict=True)
                axes.scatter(x, y, s=24, alpha=0.7, color=_colour(number, len(methods)), label=method or "models")
        axes.set_title(f"{line.measure}\n{line.linear.text()}", fontsize=10)
        axes.set_xlabel(robust.shown)
        _grid(axes, robust, None)
        if len(methods) > 1:
            _legend(figure, axes)
        paths.append(_saved(figure, folder / f"gradients_{len(paths) + 1}.png"))
    return paths


def _learning_curve(groups: Sequence[Group], name: MetricName, folder: Path) -> Path:
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, each in enumerate(groups[:MOST_CURVES]):
        series = [found for record in each.records if (found := _series(record, name))]
        if series:
            epochs = sorted(set(series[0]).intersection(*series))
            mean = [np.mean([scores[epoch] for scores in series]) for epoch in epochs]
            axes.plot(epochs, mean, marker="o", markersize=3, color=_colour(number, len(groups)), label=each.label)
    axes.set_title(name.shown, fontsize=10)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _grid(axes, None, name)
    _legend(figure, axes)
    return _saved(figure, folder / f"curve_{name.view}_{name.metric}.png")


def _validation(record: Record) -> list[MetricName]:
    rows = record.history()
    return target_scores(rows[0] if rows else (), "val")


def _series(record: Record, name: MetricName) -> dict[int, float]:
    """Scores by epoch, counted from 1."""
    return {int(row["epoch"]) + 1: float(row[str(name)]) for row in record.history() if row.get(str(name))}


def _colour(number: int, count: int) -> tuple[float, float, float, float]:
    palette: Callable[[float], tuple[float, float, float, float]] = colormaps["tab10" if count <= 10 else "turbo"]
    return palette(number if count <= 10 else number / (count - 1))


def _grid(axes: Axes, horizontal: MetricName | None, vertical: MetricName | None) -> None:
    """Draw a grid; axes of metrics in [0, 1] are in percent."""
    axes.grid(alpha=0.3)
    for axis, metric in ((axes.xaxis, horizontal), (axes.yaxis, vertical)):
        if metric is not None and metric.is_share:
            axis.set_major_formatter(PercentFormatter(1.0))
    if horizontal is not None:
        axes.xaxis.set_major_locator(MaxNLocator(5))


def _legend(figure: Figure, axes: Axes) -> None:
    """Draw a legend below the axes, which keep their size."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        texts = [fill(label, _LABEL) for label in labels]
        columns = 1 if max(map(len, texts)) > _LABEL // 2 else 2
        rows = sum(1 + text.count("\n") for text in texts) / columns
        figure.set_figheight(figure.get_figheight() + _LINE * (rows + 1))
        figure.legend(handles, texts, loc="outside lower center", fontsize=8, ncols=columns)


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=140, bbox_inches="tight", pad_inches=0.1)
    figure.savefig(path.with_suffix(".svg"), bbox_inches="tight", pad_inches=0.1)
    return path
