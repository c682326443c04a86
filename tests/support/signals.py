"""A callback that sends a signal to its own process at some place of the training."""

import os

import pytorch_lightning as pl


class Signal(pl.Callback):
    """Sends a signal to this process at some place of the training."""

    def __init__(self, number, place, epoch, batch=None):
        self.number, self.place, self.at = number, place, (epoch, batch)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if self.place == "batch" and (trainer.current_epoch, batch_idx) == self.at:
            os.kill(os.getpid(), self.number)

    def on_validation_start(self, trainer, module):
        if self.place == "validation" and trainer.current_epoch == self.at[0]:
            os.kill(os.getpid(), self.number)


def signalled(number, place):
    return f"+callbacks.signal={{_target_: support.signals.Signal, number: {int(number)}, {place}}}"
