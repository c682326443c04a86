"""The checkpoint from which an interrupted run goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from gat_lightning.distributed import gather_from_ranks
from gat_lightning.preemption import Stopped, StopSignals


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after every epoch, within long epochs every few minutes, and when a signal says to stop.

    A signal of :data:`gat_lightning.preemption.SIGNALS` lets the batch be finished, or the validation that goes on;
    then the state is saved and :class:`~gat_lightning.preemption.Stopped` raised, on all ranks.

    Args:
        dirpath: directory of the run's checkpoints.
        minutes: how much work within an epoch may be lost at most.
    """

    def __init__(self, dirpath: str, minutes: float = 10.0) -> None:
        self._path = Path(dirpath) / "last.ckpt"
        self._seconds = 60 * minutes
        self._saved = 0.0
        self._signals = StopSignals()
        self._buffers: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and listen; what the strategy has copied from rank 0 is replaced by this rank's own."""
        self._saved = time.monotonic()
        self._signals.listen()
        if isinstance(trainer.strategy.model, DistributedDataParallel):
            trainer.strategy.model.broadcast_buffers = False  # its first pass would copy them again
        for name, value in pl_module.named_buffers() if self._buffers else ():
            value.copy_(self._buffers[name])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time, or where the run has to stop; rank 0's clock and signals decide for all.

        Not after an epoch's last batch: what goes on from there would leave out the validation.
        """
        if trainer.is_last_batch:
            return
        due, received = time.monotonic() - self._saved > self._seconds, self._signals.received
        if trainer.world_size > 1:
            due, received = trainer.strategy.broadcast((due, received))
        if due or received is not None:
            self._save(trainer)
        if received is not None:
            raise Stopped(received)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        self._save(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add every rank's buffers: BatchNorm has its own statistics on each within an epoch, and attacks see them."""
        if trainer.world_size > 1:
            checkpoint["buffers_of_ranks"] = gather_from_ranks(
                {name: value.cpu() for name, value in pl_module.named_buffers()}
            )

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep this rank's own buffers until training starts, where there are as many ranks as before."""
        buffers = checkpoint.get("buffers_of_ranks", [])
        if len(buffers) == trainer.world_size:
            self._buffers = buffers[trainer.global_rank]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen no longer; what was asked during the last epoch is done now."""
        self._signals.restore()
        received = self._signals.received
        if trainer.world_size > 1:
            received = trainer.strategy.broadcast(received)
        if received is not None:
            raise Stopped(received)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Listen no longer."""
        self._signals.restore()

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()
