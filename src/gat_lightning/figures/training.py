"""Figures of one run so far, made of the rows of its ``metrics.csv``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from gat_lightning.runs.metric_names import CLEAN, objective_columns, target_scores


@dataclass(frozen=True)
class WeightShares:
    """Share of each objective in the sum of the absolute weights.

    Attributes:
        steps: ``[n]``, global steps.
        names: names of the K objectives.
        table: shares ``[n, K]`` in [0, 1]; rows sum to 1, or to 0 if all weights are 0.
    """

    steps: NDArray[np.float64]
    names: list[str]
    table: NDArray[np.float64]

    def draw(self, axes: Axes, title: str = "") -> None:
        """Draw a stacked area chart with the legend below."""
        palette = colormaps["tab10" if len(self.names) <= 10 else "turbo"]
        places = range(len(self.names)) if len(self.names) <= 10 else np.linspace(0, 1, len(self.names))
        axes.stackplot(self.steps, self.table.T, labels=self.names, colors=[palette(k) for k in places], linewidth=0)
        axes.set_title(title, fontsize=9, wrap=True)
        axes.set_xlabel("step")
        axes.set_ylim(0, 1)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def weight_shares(rows: Sequence[Mapping[str, str]]) -> WeightShares | None:
    """Weight shares of the rows of ``metrics.csv`` with weights; None if there are none."""
    columns = objective_columns(dict.fromkeys(name for row in rows for name in row), "weight")
    told = [row for row in rows if any(row.get(name) for name in columns.values())]
    if not told:
        return None
    table = np.abs(np.array([[float(row.get(name) or 0) for name in columns.values()] for row in told]))
    total = table.sum(1, keepdims=True)
    steps = np.array([float(row["step"]) for row in told])
    return WeightShares(steps, list(columns), table / np.where(total > 0, total, 1))


def weights_area(rows: Sequence[Mapping[str, str]]) -> Figure | None:
    """Stacked area chart of the objectives' shares in the weights; None with fewer than two steps."""
    shares = weight_shares(rows)
    if shares is None or len(shares.steps) < 2:
        return None
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    shares.draw(figure.subplots(), "weights of the objectives")
    return figure


def validation_scatter(rows: Sequence[Mapping[str, str]]) -> Figure | None:
    """Scatter plot of robust over clean scores, a point per validation, later ones darker; None without such a pair."""
    names = target_scores(rows[0] if rows else (), "val")
    clean = next((name for name in names if name.view == CLEAN), None)
    robust = next((name for name in names if name.view != CLEAN), None)
    if clean is None or robust is None:
        return None
    pairs = [(row.get(str(clean)), row.get(str(robust))) for row in rows]
    points = [(float(x), float(y)) for x, y in pairs if x and y]
    if not points:
        return None
    figure = Figure(figsize=(5.4, 4.4), layout="constrained")
    axes = figure.subplots()
    x, y = zip(*points, strict=True)
    drawn = axes.scatter(x, y, c=range(1, len(points) + 1), cmap="viridis_r", s=30)
    axes.set_xlabel(str(clean))
    axes.set_ylabel(str(robust))
    if clean.is_share:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    figure.colorbar(drawn, ax=axes, label="validation")
    return figure
