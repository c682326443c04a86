"""Signal handling: checkpoint, then exit.

Batch systems send a signal some time before they kill a job, at its time limit or when it is pre-empted. Users press
Ctrl-C.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS_TO_HEED = 5.0
"""How long a signal may wait for Python before :func:`stopping_at_once` ends the process."""

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
    """Lets a signal of :data:`SIGNALS` end the block by :class:`Stopped`, where no :class:`StopSignals` listens.

    Python heeds signals between its own instructions only. A process that waits within a library, as for the other
    processes of a run, is ended after :data:`SECONDS_TO_HEED`, without any clearing up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        heeded.set()
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        with _received_signals() as received:
            threading.Thread(target=_end_unheeded, args=(received, stop, heeded), daemon=True).start()
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _received_signals() -> Iterator[socket.socket]:
    """A socket that gets the number of each signal at once, one byte each, whatever the process waits for."""
    received, sent = socket.socketpair()
    sent.setblocking(False)
    before = signal.set_wakeup_fd(sent.fileno(), warn_on_full_buffer=False)
    try:
        yield received
    finally:
        signal.set_wakeup_fd(before)
        sent.close()


def _end_unheeded(received: socket.socket, handler: object, heeded: threading.Event) -> None:
    with received:
        while number := int.from_bytes(received.recv(1), "big"):
            if number in SIGNALS and not heeded.wait(SECONDS_TO_HEED) and signal.getsignal(number) is handler:
                print(
                    f"Ended by {signal.Signals(number).name} while waiting in a library.", file=sys.stderr, flush=True
                )
                os._exit(128 + number)


def was_requeued() -> bool:
    """Whether SLURM starts this job again, so that it goes on from its own last checkpoint."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
