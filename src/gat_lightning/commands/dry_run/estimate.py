"""Dry run: the estimated cost of a run from a few of its steps, ``dry_run=true``."""

import math
from dataclasses import dataclass
from statistics import mean, median

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from gat_lightning.commands.dry_run.largest_batch import largest_batch, step_fits
from gat_lightning.commands.dry_run.passes import WARM_UP, PassCounter, Stopwatch
from gat_lightning.commands.train.faults import is_out_of_memory, memory_advice
from gat_lightning.commands.train.teacher import teacher_stage
from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.length import count_steps, counted_batches, limited
from gat_lightning.config.paper import prepare_paper
from gat_lightning.config.pretraining import compose_before
from gat_lightning.data import ImageDataModule
from gat_lightning.errors import UserError
from gat_lightning.reporting.words import counted
from gat_lightning.runs.directory import setting_of, typed_overrides
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.telling import duration
from gat_lightning.training.callbacks.numerics import Numerics
from gat_lightning.training.callbacks.peak_memory import GIB, forget_peak, peak_memory
from gat_lightning.training.launcher import own_ranks
from gat_lightning.training.module import GATModule

_MEASURED = 5
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
        training_seconds: all steps.
        scoring_seconds: validations and tests; images of which nothing but the clean metric is taken count as nothing.
        peak_gib: most memory in use, GiB: of the device, or of the whole process on a CPU; None where the system does
            not tell.
        largest_batch: most images whose training step fits into the device, to within an eighth, or all training
            images; None on a CPU and with several processes.
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
    training_seconds: float
    scoring_seconds: float
    peak_gib: float | None
    largest_batch: int | None

    @property
    def seconds(self) -> float:
        """All in all."""
        return self.training_seconds + self.scoring_seconds


def estimate(config: DictConfig) -> list[Cost]:
    """Print what the configured run would cost. Nothing is kept: no weights, no result, no run directory of its own.

    Returns:
        The cost of the teacher's stage and that of ``pretraining``, where there are such, and that of the run.

    Raises:
        UserError: the run could not train, for example because a batch does not fit into memory.
    """
    with own_ranks():
        prepare_paper(config)
        directory, costs = RunDirectory(config.paths.run), []
        if (stage := teacher_stage(config, build_data(config))) is not None:
            costs.append(measure(stage, "before: the teacher of the pseudo-labels"))
        if config.pretraining is not None:
            before = compose_before(list(config.pretraining), directory.pretraining)
            costs.append(measure(before, "before: " + " ".join(config.pretraining)))
        costs.append(measure(config, " ".join(word for word in typed_overrides() if setting_of(word) != "dry_run")))
        for cost in costs:
            show(cost)
        if len(costs) > 1:
            Console().print(f"The {len(costs)} trainings: {duration(sum(cost.seconds for cost in costs))}.")
        _discard(directory)
    return costs


def measure(config: DictConfig, job: str) -> Cost:
    """Make a few steps, and one batch each of validation and test, and extrapolate."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    module = build_module(config, data.info, counted_batches(config, data))
    counter = PassCounter(module)
    cycle = _cycle(module)
    watch = Stopwatch(counter, cycle)
    most = WARM_UP + cycle * math.ceil(_MEASURED / cycle)
    Console().print(f"Measuring at most {most} steps: {job}", markup=False, soft_wrap=True)
    trainer: pl.Trainer = instantiate(
        config.trainer,
        precision=module.origin["engine"]["precision"],
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False),
        callbacks=[watch, Numerics(config.engine.tf32)],
        max_epochs=1,
        check_val_every_n_epoch=1,
        limit_train_batches=most,
        limit_val_batches=1,
        limit_test_batches=1,
    )
    device = trainer.strategy.root_device
    forget_peak(device)
    try:
        trainer.fit(module, datamodule=data)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(_too_large(config, device)) from error
    trainer.test(module, datamodule=data, verbose=False)
    peak = peak_memory(device)
    steps = count_steps(config, len(data.train_dataloader()), module.method.replays)
    step = median(watch.timed) if cycle == 1 else mean(watch.timed)
    attack, other, gradients, curvature = (mean(each) for each in zip(*watch.counts[-len(watch.timed) :], strict=True))
    return Cost(
        job=job,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper(),
        steps=steps,
        attack_passes=attack,
        forward_passes=other,
        objectives=gradients,
        curvature=curvature,
        measured=len(watch.timed),
        step_seconds=step,
        training_seconds=steps * step,
        scoring_seconds=_scoring_seconds(config, data, watch),
        peak_gib=None if peak is None else peak / GIB,
        largest_batch=_largest(config, data, trainer),
    )


def show(cost: Cost) -> None:
    """Print a table of the cost."""
    table = Table(show_header=False)
    lines = {
        "steps": f"{cost.steps:,}",
        "passes of the attack in a step": f"{cost.attack_passes:g}",
        "other forward passes": f"{cost.forward_passes:g}",
        "gradients, of which curvature terms": f"{cost.objectives:g}, {cost.curvature:g}",
        "seconds per step": f"{cost.step_seconds:.3g}",
        "peak memory (GiB)": None if cost.peak_gib is None else f"{cost.peak_gib:.2g}",
        "largest batch that fits": None if cost.largest_batch is None else f"{cost.largest_batch:,}",
        "training": duration(cost.training_seconds),
        "validation and test": duration(cost.scoring_seconds),
        "in all": duration(cost.seconds),
    }
    for name, value in lines.items():
        if value is not None:
            table.add_row(name, value)
    console = Console()
    console.print(cost.job, markup=False)
    console.print(f"nothing was trained: {counted(cost.measured, 'step')} on {cost.device}, extrapolated")
    console.print(table)


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


def _largest(config: DictConfig, data: ImageDataModule, trainer: pl.Trainer) -> int | None:
    if trainer.strategy.root_device.type != "cuda" or trainer.world_size > 1:
        return None
    return largest_batch(lambda size: step_fits(config, size), data.batch_size, len(data.split("train")))


def _too_large(config: DictConfig, device: torch.device) -> str:
    """The message where the configured batch does not fit, with the largest that does on a GPU."""
    batch, parts = config.data.batch_size, config.engine.micro_batch
    size, largest = parts or batch, None
    if device.type == "cuda":
        largest = largest_batch(lambda tried: step_fits(config, tried), size // 2, size)
    if largest is None:
        return memory_advice(device, batch, parts)
    return (
        f"Out of memory on {device}: {size} images in a pass do not fit, {largest} do. Set"
        f" engine.micro_batch={largest}, which keeps the gradients, or data.batch_size={largest}."
    )


def _discard(directory: RunDirectory) -> None:
    """Remove what Hydra left in the run directory, and the directory if nothing else is in it."""
    for path in (*directory.hydra.glob("*.yaml"), *directory.path.glob("*.log")):
        path.unlink()
    for folder in (directory.hydra, directory.path):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
