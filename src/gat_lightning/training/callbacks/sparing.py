"""Work at the ends of epochs that must not slow down a long training of short epochs."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl

EPOCHS = 100
"""Epochs in which the work is always done."""

_SHARE = 0.05


class Sparing:
    """Decides when work is due: in each of the first 100 epochs, then so that it takes 5 % of the time at most."""

    def __init__(self) -> None:
        self._ended, self._took = -math.inf, 0.0

    def is_due(self, trainer: pl.Trainer) -> bool:
        """Whether the work is to be done at the end of this epoch."""
        waited = time.perf_counter() - self._ended
        return trainer.current_epoch < EPOCHS or waited >= self._took / _SHARE

    @contextmanager
    def work(self) -> Iterator[None]:
        """Time the block."""
        began = time.perf_counter()
        yield
        self._ended = time.perf_counter()
        self._took = self._ended - began
