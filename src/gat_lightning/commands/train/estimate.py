"""How long a training takes and how much memory it needs, after its first steps."""

import os
import time
from statistics import mean, median
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from gat_lightning.commands.train.advice import long_on_cpu, nearly_full, slow_on_gpu
from gat_lightning.config.compiling import attack_passes
from gat_lightning.config.engine import ResolvedEngine
from gat_lightning.data import ImageDataModule
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.telling import duration, listed, tell
from gat_lightning.training.callbacks.peak_memory import GIB, peak_memory
from gat_lightning.training.module import GATModule
from gat_lightning.training.schedules import steps_of_run

STEPS = 20
"""After how many steps it is estimated."""

PATIENCE = 120.0
"""After how many seconds it is, where so many steps take longer."""

_OF_A_GRADIENT = 4
"""Cost of the gradient of an objective, in forward passes."""

_TESTED = 2
"""Checkpoints that are tested after training: the best and the last."""


class Estimate(pl.Callback):
    """Times the first steps, and tells after step 20 how long the whole run takes and how much memory it needs.

    On very slow machines it does so after the first steps that took two minutes together.

    Args:
        config: of the run.
        facts: to which it adds its texts, by their subject.
    """

    def __init__(self, config: DictConfig, facts: dict[str, str]) -> None:
        self._config, self._facts = config, facts
        self._first_step = self._started = self._began = 0.0
        self._batches: list[float] = []
        self._validations: list[float] = []
        self._is_done = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._first_step, self._started = trainer.global_step, time.perf_counter()
        self._is_done = not trainer.is_global_zero

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restart it."""
        self._began = time.perf_counter()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Likewise."""
        self._began = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take down a validation."""
        self._validations.append(time.perf_counter() - self._began)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take down a batch; tell the estimate where it is time."""
        if self._is_done:
            return
        now = time.perf_counter()
        self._batches.append(now - self._began)
        self._began = now
        steps = trainer.global_step - self._first_step
        if steps < STEPS and now - self._started < PATIENCE:
            return
        self._is_done = True
        data = getattr(trainer, "datamodule", None)
        if not isinstance(data, ImageDataModule):
            return
        assert isinstance(pl_module, GATModule)
        found = self._estimate(trainer, pl_module, data)
        self._facts.update(found)
        tell(RunDirectory(self._config.paths.run), listed(f"After step {trainer.global_step}", found))

    def _estimate(self, trainer: pl.Trainer, module: GATModule, data: ImageDataModule) -> dict[str, str]:
        batch, replays = median(self._batches[1:] or self._batches), module.method.replays
        left = (steps_of_run(trainer, replays) - trainer.global_step) / replays
        validation, test = self._scoring(module, data, batch)
        epochs = max(trainer.max_epochs or 0, trainer.current_epoch + 1) - trainer.current_epoch
        validations = epochs // (trainer.check_val_every_n_epoch or 1)
        training = time.perf_counter() - self._started + left * batch
        seconds = training + validations * validation + test
        found = {
            "estimate": f"{duration(seconds)} in all: {batch / replays:.3g} s a step, {validation:.3g} s a validation,"
            f" {test:.3g} s for the test"
        }
        device = trainer.strategy.root_device
        used, total = peak_memory(device), total_memory(device)
        if used is not None:
            of = "" if total is None else f" of {total / GIB:.1f}"
            found["memory"] = f"{used / GIB:.1f}{of} GiB at most so far"
        if advice := self._advice(module, seconds / 3600, used, total):
            found["advice"] = advice
        return found

    def _advice(self, module: GATModule, hours: float, used: int | None, total: int | None) -> str:
        kind = module.device.type
        said = [
            long_on_cpu(hours, self._config) if kind == "cpu" else None,
            slow_on_gpu(hours, ResolvedEngine.from_plain(module.origin["engine"])) if kind == "cuda" else None,
            nearly_full(used, total, self._config) if used is not None and total is not None else None,
        ]
        return " ".join(filter(None, said))

    def _scoring(self, module: GATModule, data: ImageDataModule, batch: float) -> tuple[float, float]:
        """Seconds of a validation and of the test: from a validation where there was one, else from a step's passes."""
        outputs, images = module.tasks[0].outputs, len(data.split("val"))
        in_val, in_test = (
            sum(attack_passes(attack, outputs) for attack in module.attacks[split].values())
            for split in ("val", "test")
        )
        of_validation = images + min(images, self._config.validation.images or images) * in_val
        of_test = _TESTED * len(data.split("test")) * (1 + in_test)
        names = [*module.method.names(module.task_names), *module.curvature.names(module.task_names)]
        of_attack = attack_passes(module.attack, outputs) if module.method.needs_adversarial else 0
        of_batch = data.batch_size * module.method.replays * (of_attack + _OF_A_GRADIENT * len(names))
        measured = mean(self._validations) if self._validations else None
        a_pass = batch / of_batch if measured is None else measured / of_validation
        return (of_validation * a_pass if measured is None else measured), of_test * a_pass


def total_memory(device: torch.device) -> int | None:
    """Bytes that the device has; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type != "cpu" or "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
