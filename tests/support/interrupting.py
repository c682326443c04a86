"""Trainings that are interrupted."""

import signal

import pytest
import pytorch_lightning as pl

from support.training_runs import trained


class Interrupt(pl.Callback):
    """Ctrl-C before a batch."""

    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.at:
            raise KeyboardInterrupt


def interrupt(directory, *overrides, epoch=1, batch=3):
    """Train until just before a batch."""
    stop = f"+callbacks.stop={{_target_: {__name__}.Interrupt, epoch: {epoch}, batch: {batch}}}"
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit):
            trained(directory, *overrides, stop)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning takes it away
