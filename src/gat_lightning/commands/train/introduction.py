"""What a training is about to do, in words, before its first step."""

from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from gat_lightning.attacks import Attack
from gat_lightning.batch import has_label
from gat_lightning.commands.train.advice import long_on_cpu
from gat_lightning.config.compiling import rough_hours, work_of_training
from gat_lightning.config.engine import ResolvedEngine
from gat_lightning.config.options import option_of
from gat_lightning.data import ImageDataModule
from gat_lightning.info import LabelInfo
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.telling import listed, shown, tell
from gat_lightning.tasks import Task
from gat_lightning.training.callbacks import EarlyStopping
from gat_lightning.training.module import GATModule
from gat_lightning.training.schedules import steps_of_run

_LARGE = 1_000_000
"""Number of parameters from which a training on a CPU may take days."""


class Introduction(pl.Callback):
    """Tells before the first step what the training is about to do.

    Args:
        config: of the run.
        facts: to which it adds its texts, by their subject.
    """

    def __init__(self, config: DictConfig, facts: dict[str, str]) -> None:
        self._config, self._facts = config, facts

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell it."""
        data = getattr(trainer, "datamodule", None)
        if not trainer.is_global_zero or not isinstance(data, ImageDataModule):
            return
        assert isinstance(pl_module, GATModule)
        self._facts.update(facts(self._config, trainer, pl_module, data))
        tell(RunDirectory(self._config.paths.run), listed(_title(self._config), self._facts))


def _title(config: DictConfig) -> str:
    directory = RunDirectory(config.paths.run)
    if not directory.is_stage:
        return "This run"
    return "The teacher" if directory.path == RunDirectory(directory.path.parent).teacher else "Pre-training stage"


def facts(config: DictConfig, trainer: pl.Trainer, module: GATModule, data: ImageDataModule) -> dict[str, str]:
    """Texts about a training that is about to begin, by their subject.

    Args:
        config: of the training.
        trainer: in its fit.
        module: that it trains.
        data: that it trains on, set up.
    """
    engine = ResolvedEngine.from_plain(module.origin["engine"])
    found = {
        "data": about_data(data, module.tasks[0]),
        "model": _model(config, module),
        "objectives": _objectives(module),
        "attack": _attacks(module),
        "method": option_of("method", config.method),
        "weighting": option_of("weighting", config.weighting),
        "engine": f"{engine}; gradients of the {config.engine.space}",
        "steps": _steps(config, trainer, module),
        "device": _device(trainer),
        "directory": str(shown(Path(config.paths.run))),
        "stops": ", ".join(_ends(config, trainer, module)),
    }
    advice = _advice(config, trainer, module, data)
    return found if advice is None else {**found, "advice": advice}


def about_data(data: ImageDataModule, target: Task) -> str:
    """Name, numbers of images and labels, classes and size of the images."""
    labels = data.split_labels()
    training = len(data.split("train"))
    label = labels["train"].get(target.name)
    labelled = 0 if label is None else int(has_label(label).sum())
    known = "no target label" if label is None else "all" if labelled == training else f"{labelled:,}"
    parts = [f"{data.info.name}: {training:,} training images ({known}{'' if label is None else ' labelled'})"]
    if further := len(data.training_split()) - training:
        parts.append(f"{further:,} further images")
    names = {"val": "validation", "test": "test"}
    parts += [f"{len(data.split(split)):,} {name}" for split, name in names.items() if split in labels]
    info = data.info.labels.get(target.name)
    size = "x".join(map(str, data.info.image))
    return "; ".join([", ".join(parts), *([] if info is None else [_classes(target, info)]), f"{size} pixels"])


def _classes(target: Task, info: LabelInfo) -> str:
    if info.kind == "binary":
        return f"binary label {target.name}"
    if info.kind == "multiclass":
        return f"{len(info.classes)} classes"
    return f"a number{f' ({info.unit})' if info.unit else ''}"


def _objectives(module: GATModule) -> str:
    weighed = [*module.method.names(module.task_names), *module.curvature.names(module.task_names)]
    added = module.method.unweighed_names(module.task_names[0])
    return ", ".join(weighed) + (f"; added to the weighed ones: {', '.join(added)}" if added else "")


def _model(config: DictConfig, module: GATModule) -> str:
    option, name = option_of("encoder", config.encoder), config.encoder.get("name")
    parameters = sum(each.numel() for each in module.model.parameters())
    heads = ", ".join(module.task_names)
    return f"{option}{f' {name}' if name else ''}, {parameters:,} parameters; heads: {heads}"


def _attacks(module: GATModule) -> str:
    parts = [described(module.attack) if module.method.needs_adversarial else "none in training"]
    for split, name in (("val", "validation"), ("test", "test")):
        parts.append(f"{name} {' and '.join(map(described, module.attacks[split].values()))}")
    return "; ".join(parts)


def described(attack: Attack) -> str:
    """Name, norm and radius of an attack."""
    return f"{attack.name} ({attack.norm.name}, eps {attack.eps})"


def _steps(config: DictConfig, trainer: pl.Trainer, module: GATModule) -> str:
    steps, each = steps_of_run(trainer, module.method.replays), int(trainer.num_training_batches)
    replays = f", {module.method.replays} steps on each" if module.method.replays > 1 else ""
    done = f"; {trainer.global_step:,} are done" if trainer.global_step else ""
    every = trainer.check_val_every_n_epoch or 1
    validation = "every epoch" if every == 1 else f"every {every} epochs"
    batches = f"{each:,} batches of {config.data.batch_size:,} images an epoch{replays}"
    return f"{steps:,} in all{done}; {batches}; validation {validation}"


def _device(trainer: pl.Trainer) -> str:
    device = trainer.strategy.root_device
    is_cuda = device.type == "cuda" and torch.cuda.is_available()
    name = torch.cuda.get_device_name(device) if is_cuda else device.type.upper()
    count = torch.get_num_threads()
    threads = f", {count} thread{'s' if count > 1 else ''}" if device.type == "cpu" else ""
    return f"{name}{threads}" + (f" in each of {trainer.world_size} processes" if trainer.world_size > 1 else "")


def _ends(config: DictConfig, trainer: pl.Trainer, module: GATModule) -> Iterator[str]:
    """When the training stops."""
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        yield f"after epoch {trainer.max_epochs}"
    if trainer.max_steps > 0:
        yield f"after step {trainer.max_steps:,}"
    if config.trainer.get("max_time"):
        yield f"after trainer.max_time={config.trainer.max_time}"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping):
            yield f"where {callback.monitor} has not improved in {callback.patience} validations"
    if module.method.largest_fall is not None:
        yield "at catastrophic overfitting"


def _advice(config: DictConfig, trainer: pl.Trainer, module: GATModule, data: ImageDataModule) -> str | None:
    """A word about a model that is too large for a CPU, from counted operations."""
    parameters = sum(each.numel() for each in module.model.parameters())
    if trainer.strategy.root_device.type != "cpu" or parameters < _LARGE:
        return None
    work = work_of_training(config, module.model, module.method, module.attack, len(data.training_sampler()))
    return long_on_cpu(rough_hours(work, "cpu", torch.get_num_threads()), config)
