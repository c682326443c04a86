"""`python -m benchmarks`: measure, print the table, write `benchmarks/results/NAME.json` as it goes."""

from __future__ import annotations

import argparse
import gc
import logging
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import report
from benchmarks.row import Row
from benchmarks.rows import GROUPS, USUAL
from benchmarks.work import Work
from gat_lightning.errors import UserError

RESULTS = Path(__file__).parent / "results"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=GROUPS,
        default=USUAL,
        metavar="ROW",
        help=f"{', '.join(GROUPS)} (default: all but command)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="counted steps of each contestant (default: 5)")
    parser.add_argument("--width", type=int, default=Work.width, help=f"of the ResNet-18 (default: {Work.width})")
    parser.add_argument("--batch", type=int, default=Work.batch, help=f"images in a step (default: {Work.batch})")
    parser.add_argument("--threads", type=int, default=Work.threads, help=f"of torch (default: {Work.threads})")
    parser.add_argument("--seed", type=int, default=Work.seed, help=f"(default: {Work.seed})")
    parser.add_argument("--name", default="latest", help="of the JSON file (default: latest)")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown too")
    return parser.parse_args()


def main() -> None:
    """Measure and report."""
    given, console = arguments(), Console()
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    work = Work(width=given.width, batch=given.batch, threads=given.threads, seed=given.seed)
    torch.set_num_threads(work.threads)
    started, start = report.environment(), time.perf_counter()
    rows: list[Row] = []
    path = RESULTS / f"{given.name}.json"
    bar = (TextColumn("{task.fields[group]}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*bar, console=console) as progress:
        task = progress.add_task("", total=len(given.rows), group="")
        for group in given.rows:
            progress.update(task, group=group)
            found = GROUPS[group](work, given.rounds, lambda text: progress.update(task, description=text))
            rows.extend(found)
            result = report.document(work, given.rounds, rows, started, time.perf_counter() - start)
            report.write(result, path)
            gc.collect()
            progress.advance(task)
            for row in found:
                figure = "" if row.ratio is None else f"{row.ratio.median:.3g}"
                progress.console.print(f"{row.what}: {figure or row.detail}", highlight=False)
    console.print(report.table(result))
    if given.markdown:
        print(report.markdown(result))
    console.print(f"Written to {path}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
