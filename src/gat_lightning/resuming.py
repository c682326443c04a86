"""What a run says of where it begins."""

from __future__ import annotations

import logging
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig

from gat_lightning.checkpoint import load_checkpoint
from gat_lightning.run_directory import finished_before

log = logging.getLogger(__name__)


@rank_zero_only
def announce(config: DictConfig, resumed: Path | None) -> None:
    """Log from which checkpoint the run goes on, or why from none although ``resume=auto`` asks for it.

    Args:
        config: of the run.
        resumed: the checkpoint; None where the run starts anew.
    """
    if resumed is not None:
        content, epochs = load_checkpoint(resumed), config.trainer.max_epochs
        whole = f" of {epochs}" if epochs is not None and epochs > 0 else ""
        log.info(
            "Resumed from %s, saved after %d steps, in epoch %d%s.",
            resumed,
            content["global_step"],
            content["epoch"] + 1,
            whole,
        )
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
