"""The summary of a W&B run: the best validation scores, and what the files of a training say."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from gat_lightning.files import atomic_write
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import SELECTION, scores_in
from gat_lightning.runs.result import Result

STEP = "trainer/global_step"
"""The x axis of every figure; the name that Lightning's own logger uses."""


class BestScores(dict[str, dict[str, float]]):
    """The best value of each validation score so far, as W&B has it: ``{"max": value}``, or min. NaN is never best."""

    def add(self, metrics: Mapping[str, float]) -> None:
        """Take the scores among the metrics into account."""
        for name, sign in directions(metrics).items():
            kind, value = "max" if sign > 0 else "min", float(metrics[name])
            if not math.isnan(value) and not (name in self and sign * self[name][kind] >= sign * value):
                self[name] = {kind: value}


def directions(metrics: Mapping[str, float]) -> dict[str, int]:
    """The validation scores among the metrics: 1 where higher is better, -1 where lower is."""
    found = {str(score): -1 if score.lower_is_better else 1 for score in scores_in(metrics, "val")}
    return {**found, SELECTION: 1} if SELECTION in metrics else found


def rows(run: RunDirectory) -> Iterator[tuple[int, dict[str, float]]]:
    """The steps and the figures of ``metrics.csv``."""
    for cells in run.history():
        row = {name: float(cell) for name, cell in cells.items() if cell}
        yield int(row.pop("step")), row


def final_figures(status: str, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """How a training ended: its status, and ``best/test/VIEW/METRIC`` and so on."""
    return {
        "status": status,
        **{f"{kind}/{name}": value for kind, found in metrics.items() for name, value in found.items()},
    }


def summary_of(run: RunDirectory, result: Result) -> dict[str, Any]:
    """The whole summary of a training's W&B run: the last figures, the best scores, how it ended, and its evaluations.

    ``wandb sync`` replaces the summary by that of the file that it uploads, so every file has the whole.
    """
    best, last = BestScores(), dict[str, float]()
    for step, row in rows(run):
        best.add(row)
        last |= {**row, STEP: step}
    return {**last, **best, **final_figures(result.status, result.metrics), **evaluations_of(run)}


def evaluations_of(run: RunDirectory) -> dict[str, float]:
    """The figures of a training's evaluations that were logged to its W&B run."""
    file = run.wandb_evaluations
    return json.loads(file.read_text()) if file.is_file() else {}


def keep_evaluation(run: RunDirectory, figures: Mapping[str, float]) -> None:
    """Add the figures of an evaluation to those that :func:`evaluations_of` returns."""
    content = {**evaluations_of(run), **figures}
    with atomic_write(run.wandb_evaluations) as temporary:
        temporary.write_text(json.dumps(content, indent=2))
