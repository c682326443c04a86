"""Being told to stop: a signal becomes a checkpoint at the end of a batch, and then an orderly end.

Batch systems announce that a job's time is over, or that another job needs its place, by a signal some time before
they kill it.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
"""SIGTERM: the job makes way or is cancelled. SIGUSR2: its time is nearly over, as submitit lets SLURM say it."""


class Stopped(SystemExit):
    """The training ends because of a signal, and its state was saved.

    Args:
        number: the signal; the exit status is 128 more, as a shell has it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


class StopSignals:
    """Remembers a signal of :data:`SIGNALS` until the training can stop, between :meth:`listen` and :meth:`restore`."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def listen(self) -> None:
        """Take the signals over; only a process's main thread can."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in SIGNALS}

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = number


def was_requeued() -> bool:
    """Whether SLURM starts this job again, so that it goes on from its own last checkpoint."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
