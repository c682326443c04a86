"""Console display of an evaluation: a progress bar per attack with the running accuracy, and the final table."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from gat_lightning.attacks import Attack
from gat_lightning.runs.metric_names import MetricName

log = logging.getLogger(__name__)


@contextmanager
def bar(view: str, attack: str, batches: int, done: int) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the batches of one attack (a :data:`~gat_lightning.evaluation.robustness.Track`)."""
    name = attack if attack == view else f"{view}: {attack}"
    if done == batches:
        log.info("%s was finished before", name)
    else:
        log.info("%s %s batch %d of %d", name, "goes on with" if done else "begins with", done + 1, batches)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console()) as progress:
        task = progress.add_task(name, total=batches, state="")

        def tell(correct: int, total: int) -> None:
            state = f"{correct / total:.1%} of {total} correct" if total else ""
            progress.update(task, advance=1, state=state)

        yield tell


def print_metrics(
    metrics: Mapping[MetricName, float],
    intervals: Mapping[MetricName, list[float]],
    attacks: Mapping[str, Attack],
    title: str,
    more: Sequence[RenderableType],
    directory: Path,
    patients: int | None = None,
) -> None:
    """The table at the end: one row per view and metric.

    Args:
        metrics: the value of each metric.
        intervals: their 95 % intervals, ``[low, high]``.
        attacks: by view.
        title: what was evaluated, on what.
        more: shown after it.
        directory: of the run.
        patients: number of patients that the intervals are over; None if they are over images.
    """
    interval = "95 % interval" + ("" if patients is None else f" over {patients:,} patients")
    table = Table("view", "budget", "metric", "value", interval, title=title)
    for name, value in metrics.items():
        attack = attacks.get(name.view)
        budget = "" if attack is None else f"{attack.norm.name} {attack.eps:.4g}"
        interval = " - ".join(_text(name.metric, end) for end in intervals.get(name, ()))
        table.add_row(name.view, budget, name.metric, _text(name.metric, value), interval)
    console = Console()
    for part in (table, *more):
        console.print(part)
    console.print(f"Run directory: {directory}", soft_wrap=True)


def _text(metric: str, value: float) -> str:
    if math.isnan(value):
        return "undefined"
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.4f}"
