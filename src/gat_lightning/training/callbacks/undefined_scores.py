"""Lightning's callbacks that monitor a score, for scores that can be undefined (NaN)."""

import pytorch_lightning as pl
import torch
from pytorch_lightning import callbacks
from torch import Tensor


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Lightning's ``ModelCheckpoint``, except that an undefined score never chooses a checkpoint."""

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether a checkpoint with this score is one of the best."""
        return not _is_undefined(current) and super().check_monitor_top_k(trainer, current)


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's ``EarlyStopping``, except that an undefined score neither stops a training nor counts towards it."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the score after a validation."""
        if not _is_undefined(trainer.callback_metrics.get(self.monitor)):
            super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the score after an epoch."""
        if not _is_undefined(trainer.callback_metrics.get(self.monitor)):
            super().on_train_epoch_end(trainer, pl_module)


def _is_undefined(score: Tensor | None) -> bool:
    return score is not None and bool(torch.isnan(score))
