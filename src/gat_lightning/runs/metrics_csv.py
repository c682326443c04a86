"""``metrics.csv``: its name, and its reader."""

from __future__ import annotations

import csv
from pathlib import Path

FILE = "metrics.csv"


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a ``metrics.csv``; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
