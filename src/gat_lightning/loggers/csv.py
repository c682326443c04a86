"""``metrics.csv``: one row per call, on disk at once, whole for whoever reads it meanwhile, and kept by a resume.

Lightning's own CSV logger deletes what an earlier process wrote into the directory.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write
from gat_lightning.loggers.base import RunLogger
from gat_lightning.runs.layout import RunDirectory

_FIRST = ["epoch", "step"]


class CSVLogger(RunLogger):
    """Logger that appends rows to ``metrics.csv`` in the run directory.

    Columns are ``epoch``, ``step``, then the others in the order in which they first appeared. Each row is a single
    write of a whole line. A new column rewrites the file atomically, which happens only a few times in a run. An
    unfinished line of a killed process is dropped.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self._columns: list[str] | None = None
        self._resumed_at = -1
        self._repeated: Counter[tuple[int, frozenset[str]]] = Counter()

    @property
    def path(self) -> Path:
        """Of the file."""
        return RunDirectory(self.directory).metrics

    def begin(self, config: Mapping[str, Any], resumed_at: int | None) -> None:
        """Drop the rows after the step from which the run resumes; all rows for a new run."""
        self.truncate(-1 if resumed_at is None else resumed_at)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Append one row.

        Args:
            metrics: numbers by column.
            step: global step; 0 if None.
        """
        row = {**metrics, "step": step or 0}
        if self._is_there_already(row):
            return
        columns = self._read_columns()
        new = [name for name in dict.fromkeys([*_FIRST, *row]) if name not in columns]
        line = _line(_text(name, row.get(name)) for name in [*columns, *new])
        if new:
            self._replace([*columns, *new], (old + b"," * len(new) for old in self._lines()), line)
        else:
            with self.path.open("ab", buffering=0) as file:
                file.write(line + b"\n")

    @rank_zero_only
    def truncate(self, after_step: int) -> None:
        """Drop all rows of steps after a checkpoint.

        Rows at the checkpoint's own step (a validation has the step before it) may have been written before or after
        the checkpoint. They are kept, and their repetition by the resumed run is skipped.

        Args:
            after_step: the checkpoint's global step; -1 drops everything.
        """
        columns, self._columns = self._read_columns(), None
        self._resumed_at, self._repeated = after_step, Counter()
        if not columns:
            self.path.unlink(missing_ok=True)
            return
        kept = []
        for line in self._lines():
            row = dict(zip(columns, next(csv.reader([line.decode()])), strict=True))
            step = int(row["step"])
            if step > after_step:
                break
            kept.append(line)
            if step >= after_step - 1:
                self._repeated[_signature(row)] += 1
        if kept:
            self._replace(columns, kept)
        else:
            self.path.unlink()

    def _is_there_already(self, row: Mapping[str, Any]) -> bool:
        if self._repeated and row["step"] > self._resumed_at:
            self._repeated.clear()
        signature = _signature(row)
        there = self._repeated[signature] > 0
        if there:
            self._repeated[signature] -= 1
        return there

    def _read_columns(self) -> list[str]:
        """Columns of the file, after dropping an unfinished last line; empty if there is no file."""
        if self._columns is None:
            self._columns = []
            if self.path.exists():
                _drop_unfinished_line(self.path)
                with self.path.open(newline="") as file:
                    self._columns = next(csv.reader(file), [])
                if self._columns and "step" not in self._columns:
                    raise UserError(f"'{self.path}' is not a file of this program's; move it away.")
        return self._columns

    def _lines(self) -> Iterator[bytes]:
        """The rows of the file, without line ends."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            next(file, None)
            for line in file:
                yield line.rstrip(b"\r\n")

    def _replace(self, columns: list[str], rows: Iterable[bytes], *more: bytes) -> None:
        """Replace the file atomically."""
        with atomic_write(self.path) as temporary, temporary.open("wb") as file:
            file.writelines(row + b"\n" for row in (_line(columns), *rows, *more))
        self._columns = columns


def _line(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue().encode()


def _text(name: str, value: Any) -> str:
    """Format a number: integers without a decimal point, floats so that they read back equal."""
    if value is None:
        return ""
    number = value.item() if hasattr(value, "item") else value
    return str(int(number)) if name in _FIRST else str(number)


def _signature(row: Mapping[str, Any]) -> tuple[int, frozenset[str]]:
    """Signature by which a repeated row is recognised: the step, and the filled columns."""
    return int(row["step"]), frozenset(name for name, value in row.items() if value not in ("", None))


def _drop_unfinished_line(path: Path) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
