"""Log messages about resuming."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.runs.directory import finished_before

log = logging.getLogger(__name__)


class Progress(NamedTuple):
    """How far a checkpoint is: the steps before it and the epoch, from 1, that it is in."""

    checkpoint: Path
    step: int
    epoch: int


def progress_of(checkpoint: Path) -> Progress:
    """Read from the file."""
    content = load_checkpoint(checkpoint)
    return Progress(checkpoint, content["global_step"], content["epoch"] + 1)


@rank_zero_only
def announce(config: DictConfig, progress: Progress | None) -> None:
    """Log from which checkpoint the run goes on, or why from none although ``resume=auto`` asks for it.

    Args:
        config: of the run.
        progress: of the checkpoint; None where the run starts anew.
    """
    if progress is not None:
        epochs = config.trainer.max_epochs
        whole = f" of {epochs}" if epochs is not None and epochs > 0 else ""
        log.info("Resumed from %s, saved after %d steps, in epoch %d%s.", *progress, whole)
    elif config.resume == "auto":
        directory, finished = config.paths.run, finished_before(config)
        if finished is None:
            log.info("Nothing to resume for these settings: %s has no checkpoint. Starting anew.", directory)
        else:
            log.info(
                "Nothing to resume: the run of these settings is finished (%s). Starting anew in %s; skip_finished=true"
                " leaves finished runs out.",
                finished,
                directory,
            )
