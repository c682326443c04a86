"""The table on the screen, and the same as JSON with versions and hardware."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from benchmarks.row import Row
from benchmarks.work import Work
from gat_lightning.reporting.tables import table_lines

SCHEMA = 1
PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchattacks", "LibMTL", "torchjd", "numpy")


def environment() -> dict[str, Any]:
    """Versions, processor, threads and GPU; nothing that names the machine."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {names[0] if names else platform.processor()}".strip()


def document(work: Work, rounds: int, rows: Sequence[Row], started: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Everything that was found, as plain types.

    Args:
        work: settings.
        rounds: at most so many, of each contestant.
        rows: results.
        started: the :func:`environment` before the first row; its load average says how busy the machine was.
        seconds: that all took.
    """
    return {
        "schema": SCHEMA,
        "command": " ".join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "work": asdict(work),
        "rounds": rounds,
        "seconds": seconds,
        "environment": started,
        "rows": [
            {
                "group": row.group,
                "what": row.what,
                "ratio": None if row.ratio is None else asdict(row.ratio),
                "cpu_ratio": None if row.cpu_ratio is None else asdict(row.cpu_ratio),
                "bar": None if row.bar is None else str(row.bar),
                "met": row.met,
                "detail": dict(row.detail),
            }
            for row in rows
        ],
    }


def write(found: dict[str, Any], path: Path) -> None:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def cells(found: dict[str, Any]) -> list[list[str]]:
    """The table's lines: what, median, smallest and largest ratio, ratio of processor time, bar, whether it is met."""
    lines = []
    for row in found["rows"]:
        ratio, cpu = row["ratio"], row["cpu_ratio"]
        if ratio is None:
            figures = [row["detail"].get("not run", ""), "", ""]
        else:
            spread = f"{_figure(ratio['low'])} to {_figure(ratio['high'])}"
            figures = [_figure(ratio["median"]), spread, "" if cpu is None else _figure(cpu["median"])]
        met = {None: "", True: "yes", False: "no"}[row["met"]]
        lines.append([row["what"], *figures, row["bar"] or "", met])
    return lines


HEADER = ["what", "ratio", "rounds", "CPU time", "bar", "met"]


def table(found: dict[str, Any]) -> Table:
    """For the screen."""
    drawn = Table(*HEADER)
    for line in cells(found):
        drawn.add_row(*line)
    return drawn


def markdown(found: dict[str, Any]) -> str:
    """For the README."""
    return table_lines([HEADER, *cells(found)])


def _figure(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
