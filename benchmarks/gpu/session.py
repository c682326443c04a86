"""Measures a list of items within a time budget, each within its own limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.journal import Journal, Key
from benchmarks.gpu.worker import Measurement, MeasurementError, TimeLimitError, Worker


@dataclass(frozen=True)
class Item:
    """Something to measure.

    Attributes:
        phase: what it belongs to.
        name: unique within the phase.
        measure: returns its figures; pickled.
        seconds: it is not begun if fewer are left.
        limit: after so many seconds its process is ended.
        obstacle: why it cannot be measured here; None if it can.
    """

    phase: str
    name: str
    measure: Measurement
    seconds: float
    limit: float
    obstacle: str | None = None

    @property
    def key(self) -> Key:
        """By which the journal knows it."""
        return self.phase, self.name


class Session:
    """A time budget, and a process that measures.

    Args:
        journal: of the findings.
        log: file for what items print.
        seconds: the budget, counted from now.
    """

    def __init__(self, journal: Journal, log: Path, seconds: float) -> None:
        self._journal, self._log = journal, log
        self._end = time.monotonic() + seconds
        self._worker: Worker | None = None

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def measure_all(self, items: Sequence[Item]) -> None:
        """Measure the items that have not been found yet, then those that failed in an earlier call."""
        missing = [item for item in items if self._journal.found(item.key) is None]
        failed = [item for item in items if self._journal.found(item.key) is False]
        for item in missing + failed:
            self.measure(item)

    def measure(self, item: Item) -> None:
        """Measure an item if there is time for it, and write what was found."""
        left = self.left
        if item.obstacle is not None:
            self._skip(item, item.obstacle)
        elif left < item.seconds:
            self._skip(item, f"{max(left, 0):.0f} s left, {item.seconds:.0f} s needed")
        else:
            self._write(item)

    def figures(self, item: Item) -> dict[str, Any]:
        """Figures of an item, in no more than its limit and the time left.

        Raises:
            MeasurementError: it failed; what it leaves behind, such as full memory, goes with the process.
        """
        self._worker = self._worker or Worker(self._log)
        try:
            return self._worker.measure(item.measure, min(item.limit, max(self.left, 0)))
        except MeasurementError:
            self.close()
            raise

    def _write(self, item: Item) -> None:
        began, short = time.monotonic(), self.left < item.limit
        try:
            figures = self.figures(item)
        except MeasurementError as failure:
            seconds = round(time.monotonic() - began, 1)
            if short and isinstance(failure, TimeLimitError):
                self._skip(item, f"no time left after {seconds:.0f} s")
            else:
                self._journal.say(*item.key, ok=False, seconds=seconds, error=failure.error, where=failure.where)
        else:
            self._journal.say(*item.key, ok=True, seconds=round(time.monotonic() - began, 1), **figures)

    def close(self) -> None:
        """End the process that measures."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _skip(self, item: Item, reason: str) -> None:
        if self._journal.found(item.key) is None:
            self._journal.say(*item.key, skipped=reason)
