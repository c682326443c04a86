"""Output of a command whose reader has gone, as in ``... --help | head``."""

import os
import sys
from collections.abc import Iterator
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
