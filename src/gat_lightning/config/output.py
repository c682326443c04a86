"""Output of a command whose reader has gone, as in ``... --help | head``, and of runs that print at the same time."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, cast

from gat_lightning.runs.signals import Stopped

_SIGPIPE = 13
"""The signal that ends other programs there; Windows has none of that name."""


@contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """Lets a write to a pipe that nobody reads end the block by :class:`~gat_lightning.runs.signals.Stopped`.

    So the command ends with status 141 and without a traceback, as other programs do, and a training as if a signal had
    come: what it has saved can be resumed.
    """
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Output(stream)) for stream in streams)
    try:
        yield
    finally:
        try:
            if not isinstance(sys.exc_info()[1], Exception):
                sys.stdout.flush()
        finally:
            sys.stdout, sys.stderr = streams


@contextmanager
def lines_named(name: str) -> Iterator[None]:
    """Lets every line that the block prints or logs begin with ``[name]``, for runs that share a terminal.

    A line is written whole, so that lines of other processes do not cut it. The streams are no terminals to the block,
    which therefore shows no progress bars.
    """
    before = sys.stdout, sys.stderr
    named = [_NamedLines(stream, f"[{name}] ") for stream in before]
    sys.stdout, sys.stderr = (cast("TextIO", each) for each in named)
    _redirect_log(before, (sys.stdout, sys.stderr))
    try:
        yield
    finally:
        _redirect_log((sys.stdout, sys.stderr), before)
        sys.stdout, sys.stderr = before
        for each in named:
            each.end()


def _redirect_log(streams: Sequence[TextIO], others: Sequence[TextIO]) -> None:
    """Let the handlers of the root logger write to other streams."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in streams:
            handler.setStream(others[streams.index(handler.stream)])


class _NamedLines:
    """A stream whose lines begin with a prefix; all else is the stream's."""

    def __init__(self, stream: TextIO, prefix: str) -> None:
        self._stream, self._prefix, self._begun = stream, prefix, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        *lines, self._begun = f"{self._begun}{text}".split("\n")
        if lines:
            self._stream.write("".join(f"{self._prefix}{line}\n" if line else "\n" for line in lines))
        return len(text)

    def end(self) -> None:
        """Write a line that has not ended."""
        if self._begun:
            self.write("\n")
        self._stream.flush()


class _Output:
    """A stream that raises `Stopped` where nobody reads it; all else is the stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._ending():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._ending():
            self._stream.flush()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # where what is still in its buffer goes
            os.close(nowhere)
            raise Stopped(_SIGPIPE) from None
