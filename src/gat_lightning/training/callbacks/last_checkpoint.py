"""The last checkpoint, from which an interrupted run resumes."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from gat_lightning.distributed import gather_from_ranks, of_rank_0
from gat_lightning.gradients import GradientEngine
from gat_lightning.runs.signals import Stopped, StopSignals

_SAVE = 1.0
"""Number that asks for a checkpoint; with the number of a signal added, for the end of the training as well."""


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after every epoch, within long epochs every few minutes, and when a signal says to stop.

    A signal of :data:`gat_lightning.runs.signals.SIGNALS` lets the batch be finished, and the epoch where that was its
    last batch; then the state is saved and :class:`~gat_lightning.runs.signals.Stopped` raised, on all ranks.

    Args:
        dirpath: directory of the run's checkpoints.
        minutes: how much work within an epoch may be lost at most.
    """

    def __init__(self, dirpath: str, minutes: float = 10.0) -> None:
        self._path = Path(dirpath) / "last.ckpt"
        self._seconds = 60 * minutes
        self._saved = 0.0
        self._signals = StopSignals()
        self._stop: int | None = None
        self._between_batches = False
        self._buffers: dict[str, Tensor] = {}

    @property
    def received(self) -> int | None:
        """The signal to stop that training got, if any."""
        return self._signals.received

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and listen; what the strategy has copied from rank 0 is replaced by this rank's own."""
        self._saved = time.monotonic()
        self._signals.listen()
        # Lightning's own way to agree on SIGTERM, which it does not get now: a collective in every step.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
        if isinstance(trainer.strategy.model, DistributedDataParallel):
            trainer.strategy.model.broadcast_buffers = False  # its first pass would copy them again
        for name, value in pl_module.named_buffers() if self._buffers else ():
            value.copy_(self._buffers[name])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """From here on the state is that of no batch. What rank 0 wants after it travels with the step's figures."""
        self._between_batches = False
        if trainer.world_size > 1:
            _engine(pl_module).flag = self._wanted() if trainer.is_global_zero else 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time, or where the run has to stop; rank 0's clock and signals decide for all.

        Not after an epoch's last batch: what goes on from there would leave out the validation. The epoch's end saves.
        """
        if trainer.is_last_batch:
            return
        self._between_batches = True
        wanted = _engine(pl_module).joint_flag if trainer.world_size > 1 else self._wanted()
        if wanted:
            self._save(trainer)
        if wanted > _SAVE:
            raise Stopped(int(wanted - _SAVE))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save; a signal to stop waits for the other callbacks' work at the epoch's end."""
        self._save(trainer)
        self._stop = of_rank_0(self._signals.received)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop where a signal came before the last epoch was saved."""
        if self._stop is not None:
            raise Stopped(self._stop)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the number of threads, and every rank's buffers.

        BatchNorm has its own statistics on each rank within an epoch, and attacks see them.
        """
        checkpoint["threads"] = torch.get_num_threads()
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
        received = of_rank_0(self._signals.received)
        if received is not None:
            raise Stopped(received)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Listen no longer; save if a loading process was lost while a run that has to stop waited for its batch."""
        self._signals.restore()
        alone, waited = trainer.world_size == 1, isinstance(exception, RuntimeError) and self._between_batches
        if self.received is not None and alone and waited:
            self._save(trainer)

    def _wanted(self) -> float:
        """What is to happen after a batch, as one number: 0 for nothing, ``_SAVE``, or that and the signal to stop."""
        if self._signals.received is not None:
            return _SAVE + self._signals.received
        return _SAVE * (time.monotonic() - self._saved > self._seconds)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()


def _nothing() -> None: ...


def _engine(module: pl.LightningModule) -> GradientEngine:
    assert isinstance(module.engine, GradientEngine)
    return module.engine
