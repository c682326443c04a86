"""Draws docs/overfitting.png from the two runs in results/overfitting: ``python -m benchmarks.overfitting``."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure

RUNS = Path("results/overfitting")
PICTURE = Path("docs/overfitting.png")
COLUMN = "val/pgd10/accuracy"
STYLES = {"without_guard": ("without the guard", "#cf222e"), "with_guard": ("with the guard", "#1a7f37")}


def accuracies(run: Path) -> list[float]:
    """Validation PGD accuracy in percent, epoch by epoch."""
    with (run / "metrics.csv").open() as file:
        return [100 * float(row[COLUMN]) for row in csv.DictReader(file) if row[COLUMN]]


def main() -> None:
    """Both curves, with marks where the guarded run stopped and at the weights that it kept."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for name, (label, colour) in STYLES.items():
        values = accuracies(RUNS / name)
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, color=colour, label=label, linewidth=4 if name == "with_guard" else 1.5, alpha=0.8)
    for epoch, words in ((len(values) - 1, "weights that are kept"), (len(values), "stops")):
        place = (epoch, values[epoch - 1])
        axes.plot(*place, "o", color=colour, markersize=8)
        axes.annotate(words, place, (8, 4), textcoords="offset points", color=colour)
    axes.set(xlabel="epoch", ylabel="PGD-10 accuracy, %", ylim=(0, None), title="One-step training, validation images")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
