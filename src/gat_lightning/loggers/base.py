"""Base class of our loggers, and functions that open and close the loggers of a run."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from gat_lightning.loggers.privacy import public_config

log = logging.getLogger(__name__)


class RunLogger(Logger):
    """A logger of one run directory. Only rank 0 writes.

    Args:
        directory: the run directory.
    """

    shows_pictures = False
    """Whether :meth:`log_picture` does anything."""

    def __init__(self, directory: str | Path) -> None:
        super().__init__()
        self.directory = Path(directory)

    @property
    def name(self) -> str:
        """Empty: the files lie in the run directory itself."""
        return ""

    @property
    def version(self) -> str:
        """Empty, likewise."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run directory."""
        return str(self.directory)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration comes with :meth:`begin`."""

    def begin(self, config: Mapping[str, Any], resumed_at: int | None) -> None:
        """Called once, before the first figure.

        Args:
            config: what of the configuration may leave the machine.
            resumed_at: the global step from which the run goes on; None for a run that begins, which takes nothing
                over from an earlier attempt in the same directory.
        """

    def log_picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Show a picture.

        Args:
            name: of its series, such as ``gramian``.
            pixels: uint8 ``[H, W, 3]``.
            step: global step.
        """

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """Show a table, where the logger has tables.

        Args:
            name: of its series, such as ``examples``.
            columns: their names.
            rows: cells are text, numbers, or pictures: uint8 ``[H, W, 3]``.
            step: global step.
        """

    def end(self, status: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Called once, after the last figure; nothing is left open.

        Args:
            status: ``finished``, ``interrupted`` or ``failed``.
            metrics: ``{checkpoint: {"split/view/metric": value}}`` of a finished run.
        """


@rank_zero_only
def start(loggers: Iterable[Logger], config: DictConfig, resumed_at: int | None = None) -> None:
    """Give every logger the configuration, without what must not leave the machine.

    Args:
        loggers: ours, and any of Lightning's.
        config: of the run.
        resumed_at: the global step from which the run goes on, None if it begins.

    Raises:
        UserError: a logger cannot start; the message says what to do.
    """
    public = public_config(config)
    for logger in loggers:
        if isinstance(logger, RunLogger):
            logger.begin(public, resumed_at)
        else:
            logger.log_hyperparams(public)


@rank_zero_only
def close(loggers: Iterable[Logger], status: str, metrics: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """Close every logger, also one that never started; to be called in ``finally``.

    A logger that fails to close is warned of, and neither keeps the others open nor hides the error of the run.

    Args:
        loggers: ours, and any of Lightning's.
        status: ``finished``, ``interrupted`` or ``failed``.
        metrics: ``{checkpoint: {"split/view/metric": value}}``, for the summary.
    """
    for logger in loggers:
        try:
            logger.finalize("success" if status == "finished" else "failed")
            if isinstance(logger, RunLogger):
                logger.end(status, metrics or {})
        except Exception:
            log.warning("%s could not be closed", type(logger).__name__, exc_info=True)
