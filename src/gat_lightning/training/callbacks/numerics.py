"""Flags of torch that hold for a whole process, set while it trains or tests."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytorch_lightning as pl
import torch

from gat_lightning.gradients.tf32 import tf32

_DETERMINISTIC: Any = torch.utils.deterministic


@contextmanager
def without_fills() -> Iterator[None]:
    """Let deterministic algorithms leave new tensors uninitialised.

    torch fills them otherwise, with one more kernel for each, so that code that reads them is deterministic too.
    """
    before = _DETERMINISTIC.fill_uninitialized_memory
    _DETERMINISTIC.fill_uninitialized_memory = False
    try:
        yield
    finally:
        _DETERMINISTIC.fill_uninitialized_memory = before


class Numerics(pl.Callback):
    """Sets the flags in every process of a run, also in spawned ones, and puts them back, also after a failure.

    Args:
        allow_tf32: whether a GPU may round float32 products to TF32.
    """

    def __init__(self, allow_tf32: bool) -> None:
        self._allow_tf32 = allow_tf32
        self._set = ExitStack()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set them."""
        self._set.close()
        self._set.enter_context(without_fills())
        self._set.enter_context(tf32(self._allow_tf32))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Put them back."""
        self._set.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Put them back."""
        self._set.close()
