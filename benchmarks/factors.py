"""Draws docs/pictures/digits_factors.png, the accuracies of the settings of GAT on digits, from results/digits."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from gat_lightning.reporting.columns import clean_metric, columns
from gat_lightning.reporting.groups import comparable, group
from gat_lightning.reporting.records import collect
from gat_lightning.reporting.results import results

RUNS = Path("results/digits")
COLOURS = {"clean": "#0072b2", "AutoAttack": "#d55e00"}


def draw(path: Path) -> None:
    """A row for each setting, in the order of the report: the seeds as small points, their means as large ones."""
    (found,) = results(comparable(group(collect([RUNS])[0])), "best")
    metrics = (clean_metric(columns(found.groups, "best")), found.robust)
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    for metric, (name, colour) in zip(metrics, COLOURS.items(), strict=True):
        assert metric is not None
        for row, each in enumerate(found.groups):
            values = [100 * value for value in each.values(metric, "best").values()]
            axes.scatter(values, [row] * len(values), s=10, color=colour, alpha=0.5, linewidths=0)
            label = f"{name}: mean over the seeds" if row == 0 else None
            axes.scatter(
                sum(values) / len(values), row, s=45, color=colour, edgecolors="black", linewidths=0.6, label=label
            )
    axes.set_yticks(range(len(found.groups)), [each.label for each in found.groups], fontsize=8.5)
    axes.invert_yaxis()
    axes.set(xlim=(0, 101), xlabel="accuracy of best.ckpt on 200 test images, %")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
