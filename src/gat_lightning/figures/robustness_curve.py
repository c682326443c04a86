"""Accuracy against the size of the attack."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from gat_lightning.attacks.budget import Radius
from gat_lightning.errors import UserError
from gat_lightning.evaluation.statistics import accuracy_interval


def accuracy_against_eps(
    curves: Mapping[str, Mapping[float, NDArray[np.bool_]]],
    path: Path,
    *,
    groups: NDArray[np.int64] | None = None,
    norm: str = "Linf",
    claimed: float | None = None,
    confidence: float = 0.95,
    title: str = "",
) -> Path:
    """Draw a line per model or attack with its interval.

    Args:
        curves: by name, for each ε in pixel units (0 is the clean accuracy) the mask of correctly classified images,
            bool ``[n]``.
        path: file of the picture; its suffix selects the format.
        groups: patient of each image, ``[n]``; None if each stands for itself.
        norm: norm of the ball.
        claimed: ε of the threat model, drawn as a line. If it or another ε was typed as a fraction such as ``8/255``,
            the axis is in units of 1/255.
        confidence: confidence level of the intervals.
        title: title of the picture.

    Raises:
        UserError: a curve is empty.
    """
    if not curves or not all(curves.values()):
        raise UserError("an accuracy curve needs at least one eps")
    denominator = next(filter(None, (Radius(eps).denominator for eps in _radii(curves, claimed))), None)
    unit = float(denominator or 1)
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, curve), marker in zip(curves.items(), _markers(len(curves)), strict=True):
        sizes = sorted(curve)
        x = [unit * eps for eps in sizes]
        accuracy = [curve[eps].mean() for eps in sizes]
        intervals = [accuracy_interval(curve[eps], groups, confidence) for eps in sizes]
        (line,) = axes.plot(x, accuracy, marker=marker, markersize=4, label=name)
        low, high = zip(*intervals, strict=True)
        axes.fill_between(x, low, high, alpha=0.15, color=line.get_color(), linewidth=0)
    if claimed is not None:
        axes.axvline(unit * claimed, color="grey", linestyle="--", linewidth=1, label="threat model")
    axes.set_xlabel(f"ε ({norm}, {f'1/{denominator}' if denominator else 'pixels in [0, 1]'})")
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    axes.set_title(title, fontsize=11)
    figure.savefig(path, dpi=130, bbox_inches="tight", pad_inches=0.1)
    return path


def _radii(curves: Mapping[str, Mapping[float, object]], claimed: float | None) -> list[float]:
    return [*([] if claimed is None else [claimed]), *(eps for curve in curves.values() for eps in curve)]


def _markers(count: int) -> Sequence[str]:
    return [("o", "s", "^", "D", "v", "P", "X", "*")[position % 8] for position in range(count)]
