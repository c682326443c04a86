"""The warnings of a run, kept for its end."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from gat_lightning.runs.layout import RunDirectory


class _Keeper(logging.Handler):
    def __init__(self, directory: RunDirectory) -> None:
        super().__init__(logging.WARNING)
        self._folder = f"{directory.path}{os.sep}"
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message once, without the run's own folder, which may be moved."""
        if (message := record.getMessage().replace(self._folder, "")) not in self.messages:
            self.messages.append(message)


@contextmanager
def collected_warnings(directory: RunDirectory) -> Iterator[list[str]]:
    """Collect what this package warns of in the block.

    Args:
        directory: of the run. Paths in it are kept relative to it.

    Yields:
        The messages so far, each once.
    """
    keeper, logger = _Keeper(directory), logging.getLogger("gat_lightning")
    logger.addHandler(keeper)
    try:
        yield keeper.messages
    finally:
        logger.removeHandler(keeper)
