"""The subject of an evaluation: a checkpoint of ours, or any other classifier."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from gat_lightning.config.build import build_data
from gat_lightning.config.checkpoint import check_order, load_model
from gat_lightning.config.evaluation import data_settings, is_export
from gat_lightning.config.held_out import check_held_out, check_unseen
from gat_lightning.config.naming import naming
from gat_lightning.data import ImageDataModule
from gat_lightning.errors import UserError, one_line
from gat_lightning.formats.base import Description
from gat_lightning.formats.safetensors import read_classifier
from gat_lightning.info import NO_TARGET
from gat_lightning.models import MultiTaskModel, normalized
from gat_lightning.models.normalize import normalization_of
from gat_lightning.models.weights import read_normalization, read_weights
from gat_lightning.tasks import Task, target_task

log = logging.getLogger(__name__)


@dataclass
class Subject:
    """A classifier with the data that it is evaluated on.

    Attributes:
        name: ``best`` of ``best.ckpt``, or ``model``.
        model: the target's classifier, images in [0, 1] -> output of the target.
        tasks: the target first; those of the training, or the target alone.
        multitask: the model with all heads, of a checkpoint.
        data: not yet set up.
        trained: configuration of the training, of a checkpoint.
        classes: names of the classes that the model was trained on; none where that is unknown.
    """

    name: str
    model: nn.Module
    tasks: list[Task]
    multitask: MultiTaskModel | None
    data: ImageDataModule
    trained: dict[str, Any] | None
    classes: tuple[str, ...] = ()


def load_subject(config: DictConfig) -> Subject:
    """The subject of an evaluation's configuration; its data are described but not read.

    Raises:
        UserError: neither or both of ``checkpoint`` and ``model`` are given; the checkpoint or the weights cannot be
            read; or model and data do not fit.
    """
    if (config.checkpoint is None) == (config.model is None):
        raise UserError(
            "Say what to evaluate: either checkpoint=RUN/checkpoints/best.ckpt, or a classifier with"
            " model._target_=FUNCTION data=NAME and perhaps weights=FILE."
        )
    subject = _from_checkpoint(config) if config.model is None else _from_factory(config)
    check_fit(subject)
    return subject


def check_fit(subject: Subject) -> None:
    """See that data and model belong together.

    Raises:
        UserError: the data lack the target's label or have its classes in another order, or the model does not give the
            target's outputs.
    """
    info, task = subject.data.info, subject.tasks[0]
    if task.name not in info.labels:
        raise UserError(
            f"The model's target is '{task.name}', but the data set '{info.name}' has the labels"
            f" {', '.join(sorted(info.labels))}: choose the data that it was trained on."
        )
    classes = len(info.labels[task.name].classes)
    if task.kind == "multiclass" and task.outputs != classes:
        raise UserError(
            f"The model tells {task.outputs} classes of '{task.name}' apart, but the data set '{info.name}' has"
            f" {classes}: choose the data that it was trained on."
        )
    check_order(subject.classes, info, task.name)
    shape = f"images of {' x '.join(map(str, info.image))} ('{info.name}')"
    try:
        with torch.no_grad():
            output = subject.model.eval()(torch.zeros(2, *info.image))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"The model does not work on {shape}: {' '.join(str(error).split())}") from error
    if not isinstance(output, Tensor) or output.shape != (2, task.outputs):
        found = list(output.shape[1:]) if isinstance(output, Tensor) else type(output).__name__
        raise UserError(
            f"The model must give {task.outputs} outputs for {shape}, but gives {found};"
            " for a model of torchvision or timm set model.num_classes."
        )


def _from_checkpoint(config: DictConfig) -> Subject:
    if config.weights is not None or config.normalize is not None:
        raise UserError("weights and normalize are for model._target_=...; a checkpoint has its own.")
    if is_export(config):
        return _from_export(config)
    trained = load_model(config.checkpoint)
    tasks = trained.tasks
    data = _data(config)
    check_held_out(config.checkpoint, data.patient_split, [config.split])
    if data.target != NO_TARGET:
        _check_target(config, data, tasks[0].name)
    model, name = trained.model.single_task().eval(), Path(config.checkpoint).stem
    return Subject(name, model, tasks, trained.model, data, trained.settings, trained.classes)


def _from_export(config: DictConfig) -> Subject:
    if "_target_" not in (config.get("data") or {}):
        raise UserError(f"checkpoint={config.checkpoint} does not hold where its data are: choose data=NAME.")
    if config.split == "val":
        raise UserError(
            f"checkpoint={config.checkpoint} does not hold which images it was trained on, and split=val might be of"
            " them: leave out split=val, or evaluate the checkpoint that was exported, RUN/checkpoints/best.ckpt."
        )
    model, description = read_classifier(config.checkpoint)
    data = _data(config)
    _check_patients_of_export(config, description, data)
    _check_target(config, data, description.target)
    name, task = Path(config.checkpoint).stem, _target_task(config, data)
    return Subject(name, model, [task], None, data, None, tuple(description.classes))


def _check_patients_of_export(config: DictConfig, description: Description, data: ImageDataModule) -> None:
    if data.patient_split is None:
        return
    if description.patients is not None:
        check_unseen(config.checkpoint, description.patients, data.patient_split, [config.split])
    else:
        log.warning(
            "'%s' does not hold which patients it was trained on: its scores are too high if they are among these.",
            config.checkpoint,
        )


def _from_factory(config: DictConfig) -> Subject:
    if config.get("data") is None:
        raise UserError("model._target_=... needs data to be evaluated on: choose data=NAME.")
    data = _data(config)
    task = _target_task(config, data)
    model = instantiate(config.model)
    if not isinstance(model, nn.Module):
        raise UserError(f"model._target_={config.model._target_} makes a {type(model).__name__}, not an nn.Module.")
    model = model.float()  # before weights are put in, which would be rounded to its own type
    if config.weights is not None:
        _put_weights(model, config.weights)
    if config.normalize is not None:
        statistics = data.info if config.normalize == "data" else config.normalize
        with naming(config, "normalize"):
            model = normalized(model, list(statistics.mean), list(statistics.std))
    elif normalization_of(model) is None:
        _warn_of_plain_pixels(config)
    return Subject("model", model, [task], None, data, None)


def _warn_of_plain_pixels(config: DictConfig) -> None:
    said = None if config.weights is None else read_normalization(config.weights)
    known = f" weights={config.weights} were trained with mean {said.mean} and std {said.std}." if said else ""
    log.warning(
        "normalize=null: the model is given pixels in [0, 1] as they are, and its scores are wrong unless it normalises"
        " them itself.%s Set normalize={mean: [...], std: [...]} to what its weights were trained with, or"
        " normalize=data.",
        known,
    )


def _check_target(config: DictConfig, data: ImageDataModule, target: str) -> None:
    if data.target != target:
        raise UserError(
            f"The target of checkpoint={config.checkpoint} is '{target}': set data.target to it, not to"
            f" '{data.target}'."
        )


def _target_task(config: DictConfig, data: ImageDataModule) -> Task:
    with naming(config, "data"):
        return target_task(data.info, data.target)


def _data(config: DictConfig) -> ImageDataModule:
    return build_data(OmegaConf.create({"data": data_settings(config), "augment": None}))


def _put_weights(model: nn.Module, path: str) -> None:
    try:
        model.load_state_dict(read_weights(path))
    except ImportError as error:
        raise UserError(str(error)) from error
    except RuntimeError as error:
        raise UserError(f"weights={path} are not this model's: {one_line(error, 500)}") from error
