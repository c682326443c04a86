"""Accuracy over the number of labels, from the comparison of :mod:`benchmarks.few_labels`: a picture and a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.few_labels import ALL, COMPARED, VIEW
from gat_lightning.evaluation.statistics import mean_std

ALONE = "adversarial"
COLOURS = {ALONE: "#57606a", "pseudo_label": "#0072b2", "consistency": "#d55e00", "both": "#009e73"}
LABELS = {mode: "labels alone" if mode == ALONE else mode for mode in COLOURS}

Accuracies = dict[int, list[float]]
"""Accuracies under AutoAttack in percent, a seed each, by labels a class."""


def curves() -> dict[str, Accuracies]:
    """The accuracies of ``last.ckpt`` without auxiliary tasks, by mode, in the order of the labels."""
    arms = json.loads(COMPARED.read_text())["arms"]
    shown = [arm for arm in arms if arm["checkpoint"] == "last" and arm["task"] == "none"]
    return {mode: dict(sorted((arm["labels"], arm[VIEW]) for arm in shown if arm["name"] == mode)) for mode in COLOURS}


def table() -> list[list[str]]:
    """A row for each number of labels: mean and standard deviation of every mode over its seeds."""
    found = curves()
    counts = sorted({count for accuracies in found.values() for count in accuracies})
    rows = [["labels a class", *LABELS.values()]]
    for count in counts:
        cells = [mean_std(each[count]).text(1) if count in each else "–" for each in found.values()]
        rows.append([f"{count} (all)" if count == ALL else str(count), *cells])
    return rows


def draw(path: Path) -> None:
    """A curve for each mode, the means over the seeds, with a bar over their range."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    found = curves()
    for mode, accuracies in found.items():
        few = {count: np.array(each) for count, each in accuracies.items() if count != ALL}
        axes.plot(list(few), [each.mean() for each in few.values()], "o-", color=COLOURS[mode], label=LABELS[mode])
        low, high = [each.min() for each in few.values()], [each.max() for each in few.values()]
        axes.vlines(list(few), low, high, color=COLOURS[mode], linewidth=1)
    everything = np.mean(found[ALONE][ALL])
    axes.axhline(everything, color="black", linestyle="--", linewidth=1, label="labels alone, all of them")
    ticks = [3, 5, 10, 20, 50]
    axes.set(xscale="log", xlabel="labels a class", ylabel="accuracy under AutoAttack, %", ylim=(0, 100))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
