"""Makes a training, or its end, last long enough to be stopped meanwhile, or fail."""

import time
from pathlib import Path

import pytorch_lightning as pl

from gat_lightning.errors import UserError
from gat_lightning.loggers import RunLogger


class Slow(pl.Callback):
    """Waits before each batch."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        time.sleep(self.seconds)


class FailsWhile(pl.Callback):
    """Fails in the second epoch of the run with this seed while there is a file."""

    def __init__(self, file, seed, own):
        self.file, self.fails = Path(file), seed == own

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1 and self.fails and self.file.exists():
            raise UserError("The file system with the images is gone.")


class LingeringLogger(RunLogger):
    """Waits at the end, after the result was written."""

    def __init__(self, directory, seconds):
        super().__init__(directory)
        self.seconds = seconds

    def log_metrics(self, metrics, step=None):
        pass

    def end(self, status, metrics):
        time.sleep(self.seconds)
