"""Dry run: the estimated cost of a run from a few of its steps, ``paper.dry_run=true``."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, partialmethod
from statistics import mean, median
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.utilities.types import STEP_OUTPUT
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gat_lightning.batch import Batch
from gat_lightning.commands.train.teacher import teacher_stage
from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.length import count_steps, counted_batches, limited
from gat_lightning.config.pretraining import compose_before
from gat_lightning.data import ImageDataModule
from gat_lightning.gradients import GradientStep
from gat_lightning.models import Features
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.training.callbacks.numerics import Numerics
from gat_lightning.training.module import GATModule
from gat_lightning.weighting import ObjectiveName

_WARM_UP, _MEASURED = 2, 5
# Checkpoints that are tested after training: the best and the last.
_TESTED = 2


@dataclass(frozen=True)
class Cost:
    """Of one run, on the device that it was measured on.

    Attributes:
        job: what was typed for it.
        device: name of the device.
        steps: of the whole training; all that is made of one batch counts as one here.
        attack_passes: in one step, forward and backward through the encoder with fixed parameters, per batch.
        forward_passes: in one step, other forward passes of the encoder, per batch; differences for the curvature, and
            augmentations that look at the loss, among them.
        objectives: in one step, gradients of the parameters: one per objective, or one of their weighted sum.
        curvature: how many objectives are curvature terms, by a double backward unless differences take its place.
        measured: how many steps were timed, after the first few: whole cycles of ``engine.solve_every`` and
            ``curvature.every``, over which these figures are means.
        step_seconds: their median, or the mean where a cycle has several steps; loading of the batch included.
        training_hours: all steps.
        scoring_hours: validations and tests; images of which nothing but the clean metric is taken count as nothing.
        peak_gib: most memory of the device in use, GiB; None on a CPU.
    """

    job: str
    device: str
    steps: int
    attack_passes: float
    forward_passes: float
    objectives: float
    curvature: float
    measured: int
    step_seconds: float
    training_hours: float
    scoring_hours: float
    peak_gib: float | None

    @property
    def hours(self) -> float:
        """All in all."""
        return self.training_hours + self.scoring_hours


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


class Stopwatch(pl.Callback):
    """Times every batch from the end of the one before, and takes down the passes of each training step.

    Args:
        counter: of the passes.
    """

    def __init__(self, counter: PassCounter) -> None:
        self.seconds: dict[str, list[float]] = {"train": [], "val": [], "test": []}
        self.counts: list[tuple[float, ...]] = []
        self._counter = counter
        self._began = time.perf_counter()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Begin to count."""
        self._counter.begin()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """A step and its passes."""
        self._took("train")
        size, counter = len(batch.images), self._counter
        self.counts.append((counter.attack / size, counter.other / size, counter.gradients, counter.curvature))

    def _begin(self, *_: Any) -> None:
        self._began = _now()

    def _took(self, what: str, *_: Any) -> None:
        now = _now()
        self.seconds[what].append(now - self._began)
        self._began = now

    on_train_epoch_start = on_validation_batch_start = on_test_batch_start = partialmethod(_begin)
    on_validation_batch_end = partialmethod(_took, "val")
    on_test_batch_end = partialmethod(_took, "test")


def estimate(config: DictConfig) -> list[Cost]:
    """Print what the configured run would cost. Nothing is kept: no weights, no result, no run directory of its own.

    Returns:
        The cost of the teacher's stage and that of ``pretraining``, where there are such, and that of the run.
    """
    directory, costs = RunDirectory(config.paths.run), []
    if (stage := teacher_stage(config, build_data(config))) is not None:
        costs.append(measure(stage, "before: the teacher of the pseudo-labels"))
    if config.pretraining is not None:
        before = compose_before(list(config.pretraining), directory.pretraining)
        costs.append(measure(before, "before: " + " ".join(config.pretraining)))
    costs.append(measure(config, _job()))
    for cost in costs:
        show(cost)
    _discard(directory)
    return costs


def measure(config: DictConfig, job: str) -> Cost:
    """Make a few steps, and one batch each of validation and test, and extrapolate."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    module = build_module(config, data.info, counted_batches(config, data))
    counter = PassCounter(module)
    watch = Stopwatch(counter)
    cycle = _cycle(module)
    measured = cycle * math.ceil(_MEASURED / cycle)
    trainer: pl.Trainer = instantiate(
        config.trainer,
        precision=module.origin["engine"]["precision"],
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False),
        callbacks=[watch, Numerics(config.engine.tf32)],
        max_epochs=1,
        check_val_every_n_epoch=1,
        limit_train_batches=_WARM_UP + measured,
        limit_val_batches=1,
        limit_test_batches=1,
    )
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    trainer.fit(module, datamodule=data)
    trainer.test(module, datamodule=data, verbose=False)
    steps = count_steps(config, len(data.train_dataloader()), module.method.replays)
    timed = watch.seconds["train"][_WARM_UP:] or watch.seconds["train"]
    step = median(timed) if cycle == 1 else mean(timed)
    attack, other, gradients, curvature = (mean(each) for each in zip(*watch.counts[-len(timed) :], strict=True))
    return Cost(
        job=job,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper(),
        steps=steps,
        attack_passes=attack,
        forward_passes=other,
        objectives=gradients,
        curvature=curvature,
        measured=len(timed),
        step_seconds=step,
        training_hours=steps * step / 3600,
        scoring_hours=_scoring_seconds(config, data, watch) / 3600,
        peak_gib=torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
    )


def show(cost: Cost) -> None:
    """A table, and in a sweep the sum so far."""
    _shown.append(cost)
    table = Table(show_header=False)
    lines = {
        "steps": f"{cost.steps:,}",
        "passes of the attack in a step": f"{cost.attack_passes:g}",
        "other forward passes": f"{cost.forward_passes:g}",
        "gradients, of which curvature terms": f"{cost.objectives:g}, {cost.curvature:g}",
        "seconds per step": f"{cost.step_seconds:.3g}",
        "peak memory (GiB)": None if cost.peak_gib is None else f"{cost.peak_gib:.1f}",
        "hours of training": f"{cost.training_hours:.3g}",
        "hours of scoring": f"{cost.scoring_hours:.3g}",
        "hours in all": f"{cost.hours:.3g}",
    }
    for name, value in lines.items():
        if value is not None:
            table.add_row(name, value)
    console = Console()
    console.print(cost.job, markup=False)
    console.print(f"nothing was trained: {cost.measured} steps on {cost.device}, extrapolated")
    console.print(table)
    if len(_shown) > 1:
        total = sum(each.hours for each in _shown)
        console.print(f"The {len(_shown)} trainings so far: {total:.3g} hours on {cost.device}.")


_shown: list[Cost] = []


def _cycle(module: GATModule) -> int:
    """Number of batches after which solves of the weighting and steps with curvature terms come as before."""
    every = module.curvature.every if module.curvature.enabled(module.task_names) else 1
    steps = math.lcm(module.engine.solve_every, every)
    return math.lcm(steps, module.method.replays) // module.method.replays


def _scoring_seconds(config: DictConfig, data: ImageDataModule, watch: Stopwatch) -> float:
    images, size = config.validation.images, data.batch_size
    attacked = len(data.split("val")) if images is None else min(images, len(data.split("val")))
    validations = (config.trainer.max_epochs or 0) // config.trainer.check_val_every_n_epoch
    tests = _TESTED * limited(len(data.test_dataloader()), config.trainer.get("limit_test_batches"))
    return validations * math.ceil(attacked / size) * watch.seconds["val"][0] + tests * watch.seconds["test"][0]


def _job() -> str:
    if not HydraConfig.initialized():
        return ""
    hydra = HydraConfig.get()
    common = ("paper.dry_run", "hydra") if hydra.mode is RunMode.MULTIRUN else ("paper.dry_run",)
    return " ".join(word for word in hydra.overrides.task if not word.startswith(common))


def _discard(directory: RunDirectory) -> None:
    """Remove what Hydra left in the run directory, and the directory if nothing else is in it."""
    for path in (*directory.hydra.glob("*.yaml"), *directory.path.glob("*.log")):
        path.unlink()
    for folder in (directory.hydra, directory.path):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
