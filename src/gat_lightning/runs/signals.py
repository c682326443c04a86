"""Signal handling: checkpoint, then exit.

Batch systems send a signal some time before they kill a job, at its time limit or when it is pre-empted. Users press
Ctrl-C.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGUSR2] if hasattr(signal, "SIGUSR2") else []))
"""SIGTERM: the job makes way or is cancelled. SIGINT: Ctrl-C. SIGUSR2: its time is nearly over, as submitit lets SLURM
say it; Windows has none."""


class Stopped(SystemExit):
    """The run ends because of a signal.

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
        if number == self.received == signal.SIGINT:  # Ctrl-C again: do not wait for the batch
            raise Stopped(number)
        self.received = number


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Lets a signal of :data:`SIGNALS` end the block by :class:`Stopped`, where no :class:`StopSignals` listens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def was_requeued() -> bool:
    """Whether SLURM starts this job again, so that it goes on from its own last checkpoint."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
