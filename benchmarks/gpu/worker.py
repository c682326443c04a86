"""A process that measures one item after another, and that can be ended when an item takes too long."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

Measurement = Callable[[], dict[str, Any]]
"""Returns figures. It is pickled on its way to the worker."""

_FRAMES = 4
"""Innermost calls that a failure shows."""

_LOG_TAIL = 1200
"""Characters of the log that tell what a process was doing when it ended."""


class MeasurementError(Exception):
    """An item raised, or its process ended.

    Args:
        error: in one line.
        where: traceback, or the end of the log.
    """

    def __init__(self, error: str, where: str) -> None:
        super().__init__(error, where)
        self.error, self.where = error, where


class TimeLimitError(MeasurementError):
    """An item has used up its time."""


class Worker:
    """A new process for measurements.

    Args:
        log: file to which the process's output is appended.
    """

    def __init__(self, log: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._log = log
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, log))
        self._process.start()
        theirs.close()

    def measure(self, item: Measurement, limit: float) -> dict[str, Any]:
        """Figures of an item.

        Raises:
            TimeLimitError: after ``limit`` seconds.
            MeasurementError: the item raised an exception, or its process ended.
        """
        try:
            self._connection.send(item)
            if not self._connection.poll(limit):
                os.kill(self._process.pid or 0, signal.SIGUSR1)  # writes its stack to the log
                time.sleep(0.2)
                raise TimeLimitError(f"took more than {limit:.0f} s", self._tail())
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"code {code}"
            raise MeasurementError(f"the process ended with {how}", self._tail()) from None
        if isinstance(answer, MeasurementError):
            raise answer
        figures: dict[str, Any] = answer
        return figures

    def end(self) -> None:
        """End the process and its children."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _tail(self) -> str:
        with suppress(OSError):
            return self._log.read_text(errors="replace")[-_LOG_TAIL:]
        return ""


def serve(connection: Connection, log: Path) -> None:
    """Measure what the connection sends, until it is closed; runs in the process of a :class:`Worker`."""
    multiprocessing.set_start_method(None, force=True)  # loading processes start as anywhere else, not as this one
    os.setsid()  # a process group of its own, to be ended with all its children
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        except Exception as error:  # it cannot be unpickled: a module that it needs cannot be imported
            connection.send(_failure(error))
            continue
        try:
            connection.send(item())
        except BaseException as error:
            connection.send(_failure(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


def _failure(error: BaseException) -> MeasurementError:
    where = "".join(traceback.format_tb(error.__traceback__, -_FRAMES))
    return MeasurementError(f"{type(error).__name__}: {error}"[:600], where)
