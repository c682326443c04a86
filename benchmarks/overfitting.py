"""Draws docs/pictures/overfitting.png from the two runs in results/overfitting."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure

RUNS = Path("results/overfitting")
STYLES = {"with_guard": ("with the guard", "#1a7f37", 4), "without_guard": ("without", "#cf222e", 1.5)}


def accuracies(run: Path, column: str) -> list[float]:
    """Validation accuracy in percent, epoch by epoch."""
    with (run / "metrics.csv").open() as file:
        return [100 * float(row[column]) for row in csv.DictReader(file) if row[column]]


def draw(path: Path) -> None:
    """Both curves, with marks where the guarded run stopped and at the weights that it kept."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, (label, colour, width) in STYLES.items():
        robust, clean = (accuracies(RUNS / name, f"val/{view}/accuracy") for view in ("pgd10", "clean"))
        epochs = range(1, len(robust) + 1)
        axes.plot(epochs, robust, color=colour, label=f"PGD-10, {label}", linewidth=width)
        axes.plot(epochs, clean, "--", color=colour, label=f"clean, {label}", linewidth=width / 2)
        if name == "with_guard":
            for epoch, words, up in ((len(robust) - 1, "weights that are kept", -22), (len(robust), "stops", 5)):
                place = (epoch, robust[epoch - 1])
                axes.plot(*place, "o", color=colour, markersize=7)
                axes.annotate(words, place, (-9, up), textcoords="offset points", color=colour, ha="right")
    axes.set(xlabel="epoch", ylabel="validation accuracy, %", ylim=(-3, 100))
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
