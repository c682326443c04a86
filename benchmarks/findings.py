"""Findings of a measurement with a time budget: one line of JSON each, written as it is found."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FRAMES = 4
"""Innermost calls that a failure shows."""


class Findings:
    """Writes to a file and to the screen, and knows how much of the time budget is left.

    Args:
        path: the file, which is appended to; a run that is killed leaves what it has found.
        seconds: the budget, counted from now.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds, self._began = path, seconds, time.perf_counter()
        path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def say(self, phase: str, name: str, **found: Any) -> None:
        """Write one finding."""
        line = json.dumps({"seconds": round(self.elapsed, 1), "phase": phase, "name": name, **found}, default=str)
        print(line, flush=True)
        with self._path.open("a") as file:
            file.write(line + "\n")

    def has_time(self, phase: str, seconds: float) -> bool:
        """Whether so many seconds are left; if not, that is a finding."""
        left = self._seconds - self.elapsed
        if left < seconds:
            self.say(phase, "skipped", left=round(left))
        return left >= seconds

    @contextmanager
    def attempt(self, phase: str, name: str) -> Iterator[dict[str, Any]]:
        """A finding whose figures the block puts into the dictionary; an exception in it is the finding instead."""
        found: dict[str, Any] = {}
        try:
            yield found
        except Exception as error:
            where = "".join(traceback.format_tb(error.__traceback__, -_FRAMES))
            self.say(phase, name, ok=False, error=f"{type(error).__name__}: {error}"[:600], where=where)
        else:
            self.say(phase, name, ok=True, **found)
