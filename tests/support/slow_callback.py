"""Makes training last long enough to be stopped half-way."""

import time

import pytorch_lightning as pl


class Slow(pl.Callback):
    """Waits before each batch."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        time.sleep(self.seconds)
