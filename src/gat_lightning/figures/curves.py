"""Learning curves of one run so far, made of the rows of its ``metrics.csv``."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from gat_lightning.figures.training import weight_shares
from gat_lightning.runs.metric_names import CLEAN, SELECTION, MetricName, objective_columns, target_scores

Rows = Sequence[Mapping[str, str]]

_COLOURS = ("#0072B2", "#D55E00", "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#000000", "#999933")
"""Told apart by colour-blind people too (Okabe and Ito, 2008; the last one is a darker yellow)."""

_POINTS = 400
"""Most points of a line; of more rows, means over as many neighbours as needed are drawn."""

_FONT = 9
_SPAN = 30.0
"""Ratio of the largest and the smallest value from which an axis is logarithmic."""


def curves(rows: Rows, steps: float) -> Figure | None:
    """Objectives, their shares of the weight, clean and robust validation, and the learning rate, over epochs.

    Args:
        rows: of ``metrics.csv``.
        steps: number of steps of an epoch.

    Returns:
        The figure; None without a row of objectives.
    """
    names = objective_columns(dict.fromkeys(name for row in rows for name in row), "objective")
    if not any(row.get(column) for row in rows for column in names.values()):
        return None
    figure = Figure(figsize=(10, 7))
    axes = figure.subplots(2, 2)
    colours = dict(zip(names, _palette(len(names)), strict=True))
    _lines(axes[0, 0], rows, steps, names, colours)
    _weights(axes[0, 1], rows, steps, colours)
    _scores(axes[1, 0], rows, steps)
    _lines(axes[1, 1], rows, steps, {"learning rate": "lr"}, {"learning rate": "black"})
    last = max(float(row["step"]) for row in rows) / steps
    titles = ("objectives", "share of each objective in the weight", "validation", "learning rate")
    for each, title in zip(axes.flat, titles, strict=True):
        each.set_title(title, fontsize=_FONT + 1, loc="left", y=1.02)  # a place that need not be looked for
        each.set_xlim(0, 1.01 * max(last, 1e-6))
        each.grid(alpha=0.3)
        each.tick_params(labelsize=_FONT)
        each.set_xlabel("epoch", fontsize=_FONT, labelpad=2)
        each.xaxis.set_major_locator(MaxNLocator(6, integer=last >= 3))
    _legend(figure, colours)
    return figure


def _palette(count: int) -> list[str] | NDArray[np.float64]:
    return list(_COLOURS[:count]) if count <= len(_COLOURS) else colormaps["turbo"](np.linspace(0.03, 0.97, count))


def _legend(figure: Figure, colours: Mapping[str, object]) -> None:
    """One for the upper two axes, between them and the lower ones."""
    columns = min(len(colours), 5)
    lines = -(-len(colours) // columns)
    below = 0.075 + 0.026 * lines
    figure.subplots_adjust(left=0.07, right=0.98, top=0.955, bottom=0.07, wspace=0.17, hspace=0.38 + 0.085 * lines)
    handles = figure.axes[0].get_lines()
    bottom = figure.axes[0].get_position().y0
    figure.legend(
        handles, list(colours), loc="lower center", bbox_to_anchor=(0.525, bottom - below), ncols=columns,
        fontsize=_FONT, frameon=False,
    )  # fmt: skip


def _lines(axes: Axes, rows: Rows, steps: float, columns: Mapping[str, str], colours: Mapping[str, object]) -> None:
    values = []
    for name, column in columns.items():
        x, y = _column(rows, column)
        values.append(y[np.isfinite(y)])
        axes.plot(_thinned(x) / steps, _thinned(y), color=colours[name], linewidth=1.3, label=name)
    every = np.concatenate(values)
    if len(every) and every.min() > 0 and every.max() > _SPAN * every.min():
        axes.set_yscale("log")
        axes.minorticks_off()
    elif column == "lr":
        axes.set_ylim(bottom=0)


def _weights(axes: Axes, rows: Rows, steps: float, colours: Mapping[str, object]) -> None:
    shares = weight_shares(rows)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if shares is None or len(shares.steps) < 2:
        return
    table = np.stack([_thinned(share) for share in shares.table.T])
    drawn = [colours.get(name, "grey") for name in shares.names]
    axes.stackplot(_thinned(shares.steps) / steps, table, colors=drawn, linewidth=0)  # type: ignore[arg-type]


def _scores(axes: Axes, rows: Rows, steps: float) -> None:
    """The target's first metric in each view, and where the best checkpoint is."""
    names = target_scores(dict.fromkeys(name for row in rows for name in row), "val")
    first = [name for name in names if name.metric == names[0].metric]
    for name, colour in zip(first, _palette(len(first)), strict=True):
        x, y = _column(rows, str(name))
        axes.plot((x + 1) / steps, y, color=colour, linewidth=1.5, marker="o", markersize=3, label=_label(name))
    x, selection = _column(rows, SELECTION)
    if np.isfinite(selection).any():
        best = (x[np.nanargmax(selection)] + 1) / steps
        axes.axvline(best, color="grey", linestyle="--", linewidth=1, label=f"best.ckpt (epoch {best:.0f})")
    if first and first[0].is_share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=_FONT, loc="best")


def _label(name: MetricName) -> str:
    return f"{'clean' if name.view == CLEAN else name.view} {name.metric}"


def _column(rows: Rows, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps and values of a column, where it has any."""
    told = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
    steps, values = np.array(told, dtype=np.float64).reshape(-1, 2).T
    return steps, values


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    every = -(-len(values) // _POINTS)
    if every <= 1:
        return values
    return np.array([values[start : start + every].mean() for start in range(0, len(values), every)])
