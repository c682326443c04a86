"""Figures of one run so far, made of the rows of its ``metrics.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from gat_lightning.figures.numbers import is_share
from gat_lightning.figures.weight_shares import weight_shares


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
    names = [name for name in (rows[0] if rows else ()) if name.startswith("val/") and name.count("/") == 2]
    clean = next((name for name in names if name.split("/")[1] == "clean"), None)
    robust = next((name for name in names if name.split("/")[1] != "clean"), None)
    if clean is None or robust is None:
        return None
    points = [(float(row[clean]), float(row[robust])) for row in rows if row.get(clean) and row.get(robust)]
    if not points:
        return None
    figure = Figure(figsize=(5.4, 4.4), layout="constrained")
    axes = figure.subplots()
    x, y = zip(*points, strict=True)
    drawn = axes.scatter(x, y, c=range(1, len(points) + 1), cmap="viridis_r", s=30)
    axes.set_xlabel(clean)
    axes.set_ylabel(robust)
    if is_share(clean):
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    figure.colorbar(drawn, ax=axes, label="validation")
    return figure
