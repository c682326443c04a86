"""The checkpoint from which an interrupted run goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after every epoch, and within long epochs every few minutes.

    Args:
        dirpath: directory of the run's checkpoints.
        minutes: how much work within an epoch may be lost at most.
    """

    def __init__(self, dirpath: str, minutes: float = 10.0) -> None:
        self._path = Path(dirpath) / "last.ckpt"
        self._seconds = 60 * minutes
        self._saved = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time; rank 0's clock decides for all."""
        due = time.monotonic() - self._saved > self._seconds
        if trainer.strategy.broadcast(due) if trainer.world_size > 1 else due:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()
