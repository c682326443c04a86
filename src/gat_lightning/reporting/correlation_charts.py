"""Scatter plots of the robust score over each measure of the gradients."""

from collections.abc import Sequence
from pathlib import Path

from gat_lightning.reporting.correlations import ALL, Line, Model
from gat_lightning.reporting.drawing import COLOURS, MARKERS, MOST_NAMED, figure, legend, percent, saved
from gat_lightning.reporting.words import axis_words
from gat_lightning.runs.metric_names import MetricName


def measures(points: Sequence[Model], lines: Sequence[Line], robust: MetricName, folder: Path) -> list[Path]:
    """One plot for each measure: ``gradients_N.png``, a point per model, a colour per training method."""
    methods = list(dict.fromkeys(point.method for point in points))
    shown = methods if len(methods) <= MOST_NAMED else [""]
    paths: list[Path] = []
    for line in (line for line in lines if line.models == ALL):
        drawn, axes = figure()
        for number, method in enumerate(shown):
            alike = [point for point in points if len(shown) < len(methods) or point.method == method]
            chosen = [point for point in alike if line.measure in point.measures]
            if chosen:
                x, y = zip(*((point.robust, point.measures[line.measure]) for point in chosen), strict=True)
                style = {"marker": MARKERS[number], "s": 24, "alpha": 0.7, "color": COLOURS[number]}
                axes.scatter(x, y, label=method or "models", **style)  # type: ignore[arg-type]
        axes.set_title(line.linear.text(), fontsize=10)
        axes.set_xlabel(axis_words(robust))
        axes.set_ylabel(line.measure.partition(" (")[0], wrap=True)
        percent(axes.xaxis, robust)
        if len(shown) > 1:
            legend(drawn, axes)
        paths.append(saved(drawn, folder / f"gradients_{len(paths) + 1}.png"))
    return paths
