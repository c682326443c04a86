"""Count the passes of training steps, and time each batch."""

import time
from collections.abc import Callable
from functools import partial, partialmethod
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import STEP_OUTPUT
from torch import Tensor

from gat_lightning.batch import Batch
from gat_lightning.gradients import GradientStep
from gat_lightning.models import Features
from gat_lightning.training.module import GATModule
from gat_lightning.weighting import ObjectiveName


class PassCounter:
    """Counts the encoder's passes and the gradients of the parameters while it is in place.

    Args:
        module: what trains; its model's ``encode`` and its engine's ``finish`` are replaced.
    """

    def __init__(self, module: GATModule) -> None:
        self.begin()
        setattr(module.engine, "finish", partial(self._finished, module.engine.finish))  # noqa: B010
        self._parameters = module.model.shared_parameters()
        for name in ("encode", "encode_eagerly"):
            setattr(module.model, name, partial(self._counted, getattr(module.model, name)))

    def begin(self) -> None:
        """Begin to count."""
        self.attack = self.other = self.gradients = self.curvature = 0

    def _finished(self, finish: Callable[[], GradientStep]) -> GradientStep:
        step = finish()
        self.gradients += 1 if step.gramian is None else len(step.names)
        self.curvature += sum(ObjectiveName.parse(name).view == "curvature" for name in step.names)
        return step

    def _counted(self, encode: Callable[[Tensor], Features], images: Tensor) -> Features:
        if any(parameter.requires_grad for parameter in self._parameters):
            self.other += len(images)
        else:
            self.attack += len(images)
        return encode(images)


WARM_UP = 2
"""First steps that are slower than the others, and not timed if there are others."""

ENOUGH = 120.0
"""Seconds of training after which no other step is begun: where steps are slow, one tells what many would."""


class Stopwatch(pl.Callback):
    """Times every batch from the end of the one before, and takes down the passes of each training step.

    Args:
        counter: of the passes.
        cycle: number of steps that are timed together, since they differ.
    """

    def __init__(self, counter: PassCounter, cycle: int) -> None:
        self._cycle = cycle
        self.seconds: dict[str, list[float]] = {"train": [], "val": [], "test": []}
        self.counts: list[tuple[float, ...]] = []
        self._counter = counter
        self._began = time.perf_counter()

    @property
    def timed(self) -> list[float]:
        """Seconds of the training steps after the first few; of all where there are no others."""
        return self.seconds["train"][WARM_UP:] or self.seconds["train"]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Begin to count."""
        self._counter.begin()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """A step and its passes; the last one where steps are slow."""
        self._took("train")
        size, counter = len(batch.images), self._counter
        self.counts.append((counter.attack / size, counter.other / size, counter.gradients, counter.curvature))
        if sum(self.seconds["train"]) > ENOUGH and len(self.timed) % self._cycle == 0:
            trainer.should_stop = True

    def _begin(self, *_: Any) -> None:
        self._began = _now()

    def _took(self, what: str, *_: Any) -> None:
        now = _now()
        self.seconds[what].append(now - self._began)
        self._began = now

    on_train_epoch_start = on_validation_batch_start = on_test_batch_start = partialmethod(_begin)
    on_validation_batch_end = partialmethod(_took, "val")
    on_test_batch_end = partialmethod(_took, "test")


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
