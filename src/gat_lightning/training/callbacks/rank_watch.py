"""Ends a rank of a run where another one has failed."""

from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist

from gat_lightning.runs.ranks import Ranks

MINUTES = 10
"""How long a collective may wait for the other ranks, if none of them is known to have failed."""


class RankWatch(pl.Callback):
    """Connects the ranks once there is a process group, and ends this one between batches where another has failed.

    Args:
        ranks: of the run.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Connect. From here on no rank has data to prepare, so that collectives need not wait for long."""
        if trainer.world_size > 1 and not self._ranks.connected:
            _set_timeout(timedelta(minutes=MINUTES))
            self._ranks.connect()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *batch: Any) -> None:
        """Go on unless another rank has failed."""
        self._ranks.check()

    def on_validation_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *batch: Any) -> None:
        """Likewise."""
        self._ranks.check()

    def on_test_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *batch: Any) -> None:
        """Likewise."""
        self._ranks.check()


def _set_timeout(timeout: timedelta) -> None:
    """``torch.distributed.set_timeout``, which torch 2.11 has under another name."""
    set_timeout = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout
    set_timeout(timeout)
