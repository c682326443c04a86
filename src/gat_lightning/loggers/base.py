"""Base class of our loggers, and functions that open and close the loggers of a run."""

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
from gat_lightning.runs.layout import RunDirectory

log = logging.getLogger(__name__)


class RunLogger(Logger):
    """A logger of one run directory. Only rank 0 writes.

    Args:
        directory: the run directory.
    """

    shows_pictures = False
    """Whether :meth:`log_picture` does anything."""

    logs_evaluations = False
    """Whether :meth:`log_evaluation` does anything."""

    def __init__(self, directory: str | Path) -> None:
        super().__init__()
        self.directory = Path(directory)

    @property
    def name(self) -> str:
        """Empty: the files lie in the run directory itself."""
        return ""

    @property
    def version(self) -> str:
        """Empty, for the same reason."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run directory."""
        return str(self.directory)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration comes with :meth:`begin`."""

    def begin(self, config: Mapping[str, Any], resumed_at: int | None) -> None:
        """Start the log. Called once, before the first metric.

        Args:
            config: configuration without private settings.
            resumed_at: global step from which the run resumes. None for a new run, which keeps nothing of an earlier
                attempt in the same directory.
        """

    def log_picture(self, name: str, pixels: np.ndarray, step: int, epoch: int) -> None:
        """Log a picture.

        Args:
            name: name of the series, such as ``gramian``.
            pixels: uint8 ``[H, W, 3]``.
            step: global step.
            epoch: number of the epoch, counted from 0.
        """

    def log_table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int, epoch: int
    ) -> None:
        """Log a table, if the logger supports tables.

        Args:
            name: name of the series, such as ``examples``.
            columns: names of the columns.
            rows: cells are text, numbers, or pictures: uint8 ``[H, W, 3]``.
            step: global step.
            epoch: number of the epoch, counted from 0.
        """

    def log_evaluation(
        self, config: Mapping[str, Any], figures: Mapping[str, float], training: RunDirectory | None
    ) -> None:
        """Log an evaluation, if the logger takes evaluations. Called instead of all other methods.

        Args:
            config: settings of the evaluation without private ones.
            figures: by name, such as ``evaluate/pgd20-1a2b3c4d/best/test/pgd20/accuracy``.
            training: the run that the evaluated checkpoint is of; None if it is of no run.
        """

    def end(self, status: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """End the log. Called once, after the last metric; closes all files and connections.

        Args:
            status: ``finished``, ``interrupted`` or ``failed``.
            metrics: ``{checkpoint: {"split/view/metric": value}}`` of a finished run.
        """


@rank_zero_only
def start(loggers: Iterable[Logger], config: DictConfig, resumed_at: int | None = None) -> None:
    """Start every logger with the configuration, without private settings.

    Args:
        loggers: our loggers, and any of Lightning's.
        config: configuration of the run.
        resumed_at: global step from which the run resumes; None for a new run.

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
    """Close every logger, including those that never started. Call it in ``finally``.

    If a logger fails to close, a warning is logged. The others are still closed, and an error of the run is not hidden.

    Args:
        loggers: our loggers, and any of Lightning's.
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
