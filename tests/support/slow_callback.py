"""Makes a training, or its end, last long enough to be stopped meanwhile."""

import time

import pytorch_lightning as pl

from gat_lightning.loggers import RunLogger


class Slow(pl.Callback):
    """Waits before each batch."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        time.sleep(self.seconds)


class LingeringLogger(RunLogger):
    """Waits at the end, after the result was written."""

    def __init__(self, directory, seconds):
        super().__init__(directory)
        self.seconds = seconds

    def log_metrics(self, metrics, step=None):
        pass

    def end(self, status, metrics):
        time.sleep(self.seconds)
