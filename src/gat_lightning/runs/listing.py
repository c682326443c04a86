"""Table of runs: what each is, how far it is, and its score."""

import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gat_lightning.runs.directory import is_of_the_run, setting_of
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.lock import holder
from gat_lightning.runs.metric_names import CLEAN, WORST, target_scores
from gat_lightning.runs.result import TrainingResult, read_result
from gat_lightning.runs.slurm import QueuedJob, exit_reason, queued_jobs
from gat_lightning.runs.sweeps import SweepPoint, started_points
from gat_lightning.runs.telling import duration

_TYPED = ".hydra/overrides.yaml"
_UNFOLDED = 1000


@dataclass(frozen=True)
class ListedRun:
    """One line of the table.

    Attributes:
        overrides: what was typed for it.
        directory: its run directory, which may not exist yet.
        job: number of its SLURM job.
        state: ``queued``, ``running``, ``interrupted``, ``failed``, ``finished`` or ``lost``, and what else is known.
    """

    overrides: tuple[str, ...]
    directory: Path
    job: str | None
    state: str


def listed_runs(output: Path, queue: Mapping[str, QueuedJob] | None, names: Collection[str] = ()) -> list[ListedRun]:
    """All runs in a folder with the evaluations in them, and the points of its sweeps that have not begun.

    Args:
        output: folder of the run directories.
        queue: the jobs that SLURM has, by number; None where it is silent.
        names: further run directories, seen from the folder.
    """
    points = {point.directory: point for point in started_points(output)}
    found = [path for pattern in ("*", "*/evaluations/*") for path in output.glob(f"{pattern}/{_TYPED}")]
    found += [path for path in (output / name / _TYPED for name in names) if path.is_file()]
    for path in sorted(found, key=lambda path: path.stat().st_mtime):
        directory = path.parent.parent
        name = str(directory.relative_to(output) if directory.is_relative_to(output) else directory)
        points.setdefault(name, SweepPoint([str(word) for word in OmegaConf.load(path)], name))
    return [
        ListedRun(
            tuple(point.overrides), output / name, point.job, _state(RunDirectory(output / name), point.job, queue)
        )
        for name, point in points.items()
    ]


def print_runs(output: Path, names: Collection[str] | None = None) -> None:
    """Print a table of runs.

    Args:
        output: folder of the run directories.
        names: the run directories to show, seen from the folder; None for all.
    """
    wanted = None if names is None else {output / name for name in names}
    runs = [run for run in listed_runs(output, queued_jobs(), names or ()) if wanted is None or run.directory in wanted]
    if runs:
        _print_table(runs)
    else:
        print(f"No runs in '{output}'.")


def print_points(output: Path, points: Mapping[str, Sequence[str]]) -> None:
    """Print a table of the points of a sweep that is not started.

    Args:
        output: folder of the run directories.
        points: overrides, by the name of the run directory.
    """
    _print_table(
        [
            ListedRun(tuple(overrides), output / name, None, _state(RunDirectory(output / name), None, None))
            for name, overrides in points.items()
        ]
    )


def run_table(runs: Sequence[ListedRun]) -> list[list[str]]:
    """Rows of point, state, job and directory; of the point the settings that it has not in common with all others."""
    points = [[word for word in run.overrides if is_of_the_run(setting_of(word))] for run in runs]
    common = set(points[0]).intersection(*points) if len(runs) > 1 else set()
    return [
        [" ".join(word for word in point if word not in common), run.state, run.job or "", str(run.directory)]
        for point, run in zip(points, runs, strict=True)
    ]


def _print_table(runs: Sequence[ListedRun]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("point", "state", "job", "directory"):
        table.add_column(title, overflow="fold")
    for row in run_table(runs):
        table.add_row(*map(escape, row))
    Console(width=None if sys.stdout.isatty() else _UNFOLDED).print(table)


def _state(directory: RunDirectory, job: str | None, queue: Mapping[str, QueuedJob] | None) -> str:
    result = read_result(directory.path) if directory.result.is_file() else None
    queued, at_work = (queue or {}).get(job or ""), holder(directory.path) is not None
    if result is not None and result.status == "finished" and not at_work:  # even if SLURM still ends the job
        return f"finished{_scores(result.metrics)}"
    if queued is not None and queued.state == "PENDING":
        return f"queued ({queued.reason})"
    if queued is not None or at_work:
        return f"running{_progress(directory, result)}"
    reason = "" if job is None else exit_reason(job).lower().replace("_", " ")
    if result is not None and result.status == "failed" and reason in ("", "failed", "completed"):
        return f"failed{f': {result.error}' if result.error else ''}"
    if reason and reason != "completed":
        return f"failed ({reason})"
    if directory.last.is_file() or directory.progress.is_dir():
        return "interrupted, goes on with resume=auto"
    return "interrupted before its first checkpoint" if directory.path.is_dir() else "never started"


def _progress(directory: RunDirectory, before: Any) -> str:
    """Epoch of a running training, and the time left if the other epochs take as long as those since its start."""
    rows, path = directory.history(), directory.hydra / "config.yaml"
    if not rows or not path.is_file():
        return ""
    settings = OmegaConf.create(path.read_text())
    epochs = OmegaConf.select(settings, "trainer.max_epochs", throw_on_resolution_failure=False)
    if epochs is None:
        return ""
    done = int(float(rows[-1]["epoch"] or 0)) + 1
    if done > epochs:
        return ", tests its checkpoints"
    earlier = before.epochs if isinstance(before, TrainingResult) else 0
    elapsed = time.time() - (directory.path / ".lock").stat().st_mtime
    left = elapsed / max(done - earlier, 1) * (epochs - done)
    return f", epoch {done} of {epochs}" + (f", {duration(left)} left" if elapsed > 0 else "")  # clocks differ


def _scores(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The target's first metric in each view of the best checkpoint."""
    scores: Mapping[str, float] = next(iter(metrics.values()), {})
    shown: dict[str, str] = {}
    for name in target_scores(scores, "test"):
        if name.view != WORST and scores[str(name)] is not None:
            shown.setdefault(name.view, name.text(scores[str(name)]))
    ordered: Iterable[str] = sorted(shown, key=lambda view: view != CLEAN)
    return "".join(f", {view} {shown[view]}" for view in ordered)
