"""What the objectives weighed over the steps of a run, as a stacked area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

_PREFIX = "weight/"


@dataclass(frozen=True)
class WeightShares:
    """Share of each objective in the sum of the absolute weights.

    Attributes:
        steps: ``[n]``, global steps.
        names: of the K objectives.
        table: ``[n, K]`` in [0, 1]; rows sum to 1, or are 0 where all weights are.
    """

    steps: NDArray[np.float64]
    names: list[str]
    table: NDArray[np.float64]

    def draw(self, axes: Axes, title: str = "") -> None:
        """As a stacked area, with its legend below."""
        palette = colormaps["tab10" if len(self.names) <= 10 else "turbo"]
        places = range(len(self.names)) if len(self.names) <= 10 else np.linspace(0, 1, len(self.names))
        axes.stackplot(self.steps, self.table.T, labels=self.names, colors=[palette(k) for k in places], linewidth=0)
        axes.set_title(title, fontsize=9, wrap=True)
        axes.set_xlabel("step")
        axes.set_ylim(0, 1)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def weight_shares(rows: Sequence[Mapping[str, str]]) -> WeightShares | None:
    """Of the rows of ``metrics.csv`` that tell weights; None where none does."""
    told = [row for row in rows if row.get("stationarity")]
    names = [name for name in (told[0] if told else {}) if name.startswith(_PREFIX) and name.count("/") == 2]
    if not names:
        return None
    table = np.abs(np.array([[float(row[name] or 0) for name in names] for row in told]))
    total = table.sum(1, keepdims=True)
    steps = np.array([float(row["step"]) for row in told])
    return WeightShares(steps, [name.removeprefix(_PREFIX) for name in names], table / np.where(total > 0, total, 1))
