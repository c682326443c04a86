"""Style of a report's figures: colours that colour-blind readers tell apart, axes in percent, files."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from gat_lightning.runs.metric_names import MetricName

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
"""Colours of Okabe and Ito ("Color universal design", 2008), with grey in place of yellow, which is faint on white."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_NAMED = len(COLOURS)
"""Number of settings above which points are numbered and have no legend."""

_RADII = (0.12, 0.2, 0.28, 0.36)
"""Distances of a number from its point, in inches."""

_DIRECTIONS = np.array([(np.cos(angle), np.sin(angle)) for angle in np.linspace(0.25, 2.25, 9)[:-1] * np.pi])
_WIDTH, _HEIGHT = 4.6, 3.4
_LABEL = 56
_LINE = 0.17


def figure(more_height: float = 0.0) -> tuple[Figure, Axes]:
    """A figure that can be read on a phone's screen and beside others on a wide one."""
    drawn = Figure(figsize=(_WIDTH, _HEIGHT + more_height), layout="constrained")
    axes = drawn.subplots()
    axes.grid(alpha=0.3)
    return drawn, axes


def percent(axis: Axis, metric: MetricName | None) -> None:
    """Write the axis of a metric in [0, 1] in percent, with few ticks."""
    if metric is not None and metric.is_share:
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}%"))
    axis.set_major_locator(MaxNLocator(5))


def number_points(drawn: Figure, axes: Axes, points: NDArray[np.float64], numbers: Sequence[str]) -> None:
    """Write a number beside each of the points ``[n, 2]``, where it covers no point and no other number."""
    drawn.draw_without_rendering()  # the layout decides where the points are
    inches = axes.transData.transform(points) / drawn.dpi
    taken = list(inches)
    for point, place, number in zip(points, inches, numbers, strict=True):
        offsets = [radius * direction for radius in _RADII for direction in _DIRECTIONS]
        room = [min(np.hypot(*(place + offset - other)) for other in taken) for offset in offsets]
        chosen = next((n for n, free in enumerate(room) if free >= _RADII[0]), int(np.argmax(room)))
        taken.append(place + offsets[chosen])
        style = {"arrowstyle": "-", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0, "color": "0.5"}
        axes.annotate(
            number, point, offsets[chosen] * 72, textcoords="offset points", ha="center", va="center", fontsize=8.5,
            zorder=5, arrowprops=style if chosen >= len(_DIRECTIONS) else None,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip


def legend(drawn: Figure, axes: Axes) -> None:
    """Draw a legend below the axes, which keep their size."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        texts = [fill(label, _LABEL) for label in labels]
        columns = 1 if max(map(len, texts)) > _LABEL // 2 else 2
        rows = sum(1 + text.count("\n") for text in texts) / columns
        drawn.set_figheight(drawn.get_figheight() + _LINE * (rows + 1))
        drawn.legend(handles, texts, loc="outside lower center", fontsize=9, ncols=columns)


def saved(drawn: Figure, path: Path) -> Path:
    """Write a figure as PNG and, beside it, as SVG."""
    drawn.savefig(path, dpi=140, bbox_inches="tight", pad_inches=0.1)
    drawn.savefig(path.with_suffix(".svg"), bbox_inches="tight", pad_inches=0.1)
    return path
