"""Opening a run's loggers, and closing them whatever happened."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from gat_lightning.loggers.base import RunLogger
from gat_lightning.loggers.privacy import public_config

log = logging.getLogger(__name__)


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
