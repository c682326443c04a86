"""What a training says at its end: its scores with intervals, its warnings again, and what to type next."""

import math
import re
import shlex
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gat_lightning.commands.train.testing import CheckpointScores
from gat_lightning.evaluation.doubts import why_undefined
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import MetricName, target_scores
from gat_lightning.runs.telling import WIDTH, itemized, shown

_UNQUOTED = re.compile(r"[\w./:@%+~-]+", re.ASCII)
"""Values that neither Hydra nor a shell reads as anything but text."""


def ending(tested: CheckpointScores, kind: str, directory: RunDirectory, warned: Sequence[str]) -> str:
    """The text at the end of a training; commands to type next are left out where it was a stage of another.

    Args:
        tested: scores of its checkpoints.
        kind: of the target.
        directory: of the run.
        warned: what it has warned of.
    """
    parts = [_table(tested), *_undefined(tested)]
    if warned:
        parts.append(itemized(f"Warnings of this run ({len(warned)}), again:", warned))
    parts.append(f"Run directory: {shown(directory.path)}")
    if not directory.is_stage:
        parts.append("\n  ".join(["Next:", *next_commands(next(iter(tested.metrics)), kind, directory)]))
    return "\n".join(parts)


def next_commands(checkpoint: str, kind: str, directory: RunDirectory) -> list[str]:
    """Two commands to type after a training: a strong evaluation, and a report of all runs in the folder.

    Args:
        checkpoint: name of the one to evaluate.
        kind: of the target; AutoAttack needs several classes.
        directory: of the run.
    """
    attack, path = "autoattack" if kind == "multiclass" else "pgd100", directory.checkpoint(checkpoint)
    return [
        f"python -m gat_lightning.evaluate {_typed('checkpoint', path)} evaluation={attack}",
        f"python -m gat_lightning.report {_typed('runs', directory.path.parent)}",
    ]


def _typed(name: str, path: Path) -> str:
    """A setting with a path, as it is typed in a shell."""
    text = str(shown(path))
    if _UNQUOTED.fullmatch(text):
        return f"{name}={text}"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return shlex.quote(f'{name}="{quoted}"')


def _table(tested: CheckpointScores) -> str:
    """A column for each checkpoint, a row for each score with its interval."""
    metrics = tested.metrics
    titles = [f"{name} (epoch {scores['epoch']})" for name, scores in metrics.items()]
    both = "best" in metrics and "last" in metrics
    table = Table("", *titles, *(["best - last"] if both else []), box=None, pad_edge=False)
    for name in target_scores(next(iter(metrics.values()), ()), "test"):
        cells = [_cell(tested, checkpoint, name) for checkpoint in metrics]
        gap = [name.text(metrics["best"][str(name)] - metrics["last"][str(name)])] if both else []
        table.add_row(f"  {name.shown}", *cells, *gap)
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    console.print(table)
    assert isinstance(console.file, StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    patients = "" if tested.patients is None else f" of {tested.patients:,} patients"
    return "\n".join([f"Test: {tested.labelled:,} images{patients}, with 95 % intervals", *lines])


def _cell(tested: CheckpointScores, checkpoint: str, name: MetricName) -> str:
    value = name.text(tested.metrics[checkpoint][str(name)])
    ends = tested.intervals.get(checkpoint, {}).get(str(name))
    return value if ends is None else f"{value} ({name.text(ends[0])} to {name.text(ends[1])})"


def _undefined(tested: CheckpointScores) -> list[str]:
    """Why scores are undefined."""
    return [
        f"{checkpoint}: {name.shown} is undefined: {why_undefined(name.metric, tested.checks[checkpoint][name.view])}."
        for checkpoint, scores in tested.metrics.items()
        for name in target_scores(scores, "test")
        if math.isnan(scores[str(name)])
    ]
