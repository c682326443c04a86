"""Figures of one run so far, made of the rows of its ``metrics.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from gat_lightning.figures.weight_shares import weight_shares
from gat_lightning.runs.metric_names import CLEAN, target_scores


def weights_area(rows: Sequence[Mapping[str, str]]) -> Figure | None:
    """The shares of the objectives' weights over the steps, stacked; None before there are two steps."""
    shares = weight_shares(rows)
    if shares is None or len(shares.steps) < 2:
        return None
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    shares.draw(figure.subplots(), "weights of the objectives")
    return figure


def validation_scatter(rows: Sequence[Mapping[str, str]]) -> Figure | None:
    """Robust against clean score, a point per validation, later ones darker; None where there is no such pair."""
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
