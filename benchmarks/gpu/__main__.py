"""`python -m benchmarks.gpu [OUT]`: what only a GPU shows, most important first, within a time budget.

Each finding is a line of `OUT/gpu.jsonl`; `OUT/summary.md` has them as tables. A second call with the same OUT goes on
with what is missing, and then tries again what has failed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.journal import Journal
from benchmarks.gpu.packages import lacking
from benchmarks.gpu.session import Item, Session
from benchmarks.gpu.worker import MeasurementError

RESULTS = Path(__file__).parents[1] / "results" / "gpu"


def arguments(phases: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT", help="folder (default: benchmarks/results/gpu)")
    parser.add_argument("--minutes", type=float, default=8, help="time budget (default: 8)")
    parser.add_argument("--phases", nargs="+", choices=phases, default=phases, metavar="PHASE", help=", ".join(phases))
    parser.add_argument("--data", type=Path, metavar="FILE", help="CIFAR-10 or a tenth of it, .npz as of data=arrays")
    parser.add_argument("--cpu", action="store_true", help="rehearse on a CPU with tiny models; figures mean nothing")
    given = parser.parse_args()
    if given.out is None and given.cpu:
        parser.error("a rehearsal needs OUT")
    if given.data is not None and not given.data.is_file():
        parser.error(f"there is no file {given.data}")
    return given


def main() -> None:
    """Measure what there is time for, and write the summary."""
    began = time.monotonic()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; deterministic products need it
    try:
        from benchmarks.gpu.machine import Machine
        from benchmarks.gpu.plan import PHASES, machine_itself, plan
        from benchmarks.gpu.summary import summary
    except ModuleNotFoundError as error:
        missing = ", ".join(lacking())
        raise SystemExit(
            f"error: {error}. Missing packages: {missing}. benchmarks/README.md says how to bring them"
        ) from None
    given = arguments(list(PHASES))
    out = given.out or RESULTS
    journal = Journal(out / "gpu.jsonl")
    session = Session(journal, out / "gpu.log", 60 * given.minutes - (time.monotonic() - began))
    device = "cpu" if given.cpu else "cuda:0"
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(device, Path(folder), out / "runs", given.data)
        try:
            _identify(session, journal, machine_itself(machine))
            phases = plan(machine)
            session.measure_all([item for name in given.phases for item in phases[name]])
        finally:
            session.close()
    text = summary(journal)
    (out / "summary.md").write_text(text)
    print(text)


def _identify(session: Session, journal: Journal, item: Item) -> None:
    """Write which machine this is.

    Raises:
        SystemExit: it cannot be told, or what was found earlier is of another one.
    """
    try:
        figures = session.figures(item)
    except MeasurementError as failure:
        raise SystemExit(f"error: {failure.error}") from None
    before = journal.lines.get(item.key)
    if before is not None and _identity(before) != _identity(figures):
        there, here = ", ".join(_identity(before)), ", ".join(_identity(figures))
        raise SystemExit(f"error: the findings are of {there}, and this is {here}: choose another OUT")
    journal.say(*item.key, ok=True, **figures)


def _identity(figures: Mapping[str, Any]) -> tuple[str, str]:
    return figures["device"]["name"], f"torch {figures['versions']['torch']}"


if __name__ == "__main__":
    main()
