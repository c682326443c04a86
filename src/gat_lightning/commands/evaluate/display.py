"""Console display of an evaluation: a progress bar per attack with the running accuracy, and the final table."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from gat_lightning.attacks import Attack
from gat_lightning.attacks.budget import in_one_unit
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
    worst: Mapping[str, str],
    title: str,
    more: Sequence[RenderableType],
    directory: Path,
    patients: int | None = None,
) -> None:
    """The table at the end: one row per test condition and metric.

    Args:
        metrics: the value of each metric.
        intervals: their 95 % intervals, ``[low, high]``.
        attacks: by test condition.
        worst: the class with the lowest accuracy, by test condition.
        title: what was evaluated, on what.
        more: shown after it.
        directory: of the run.
        patients: number of patients that the intervals are over; None if they are over images.
    """
    interval = "95 % interval" + ("" if patients is None else f" over {patients:,} patients")
    whole = partial(Column, no_wrap=True)
    table = Table(whole("condition"), "budget", "metric", whole("value"), whole(interval), title=title)
    if worst:
        table.add_column("worst class")
    budgets = _budgets(attacks)
    for name, value in metrics.items():
        interval = " - ".join(_text(name.metric, end) for end in intervals.get(name, ()))
        last = [worst.get(name.view, "") if name.metric == "accuracy" else ""] if worst else []
        table.add_row(name.view, budgets.get(name.view, ""), name.metric, _text(name.metric, value), interval, *last)
    console = Console()
    for part in (table, *more):
        console.print(part)
    console.print(f"Run directory: {directory}", soft_wrap=True)


def _budgets(attacks: Mapping[str, Attack]) -> dict[str, str]:
    """Norm and radius of each attack, the radii of one norm in one unit."""
    shown: dict[str, str] = {}
    for norm in dict.fromkeys(attack.norm.name for attack in attacks.values()):
        views = [view for view, attack in attacks.items() if attack.norm.name == norm]
        radii = in_one_unit([attacks[view].eps for view in views])
        shown |= {view: f"{norm} {radius}" for view, radius in zip(views, radii, strict=True)}
    return shown


def _text(metric: str, value: float) -> str:
    if math.isnan(value):
        return "undefined"
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.4f}"
