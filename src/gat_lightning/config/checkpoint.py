"""Reading checkpoints: plain types and tensors only, so that untrusted files cannot run code."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from gat_lightning.config.build import CHECKPOINT_SCHEMA, build_model, build_tasks
from gat_lightning.config.files import plain
from gat_lightning.errors import UserError
from gat_lightning.formats.base import Description
from gat_lightning.info import DataInfo
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.normalize import normalization_of
from gat_lightning.models.trust import check_trusted
from gat_lightning.models.weights import INITIAL_WEIGHTS, without_initial_weights
from gat_lightning.nearest import nearest
from gat_lightning.runs.checkpoint_io import PREVIOUS
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.settings_history import first_values
from gat_lightning.tasks import Task

log = logging.getLogger(__name__)

_LAST_WITH_SCHEMA_1 = "0.1.0"

_PARTS = {"state_dict": dict, "tasks": dict, "epoch": int, "global_step": int}
"""What every checkpoint has, among others."""

_SAME_PARTS = tuple(f"{part}._target_" for part in ("method", "weighting", "optimizer", "schedule"))
_SAME_LENGTH = ("trainer.max_epochs", "trainer.max_steps", "data.batch_size", "data.fraction")
"""Settings of a run that goes on from a checkpoint: always, and where the schedule counts on a number of steps."""


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of ours.

    Raises:
        UserError: there is no such file, it is not a checkpoint of ours, a version with another schema wrote it, or it
            holds anything but plain types and tensors (nothing of it is then executed).
    """
    if Path(path).is_dir():
        raise UserError(f"'{path}' is a folder, not a checkpoint: name a file, as {path}/checkpoints/best.ckpt.")
    if not Path(path).is_file():
        raise UserError(f"There is no checkpoint '{path}'. Runs keep theirs in RUN/checkpoints.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file provokes in zipfile, pickle and torch
        raise UserError(
            f"'{path}' cannot be read as a checkpoint: it is incomplete, or holds more than plain types and tensors."
            " Runs keep theirs in RUN/checkpoints."
        ) from error
    origin = content.get("gat_lightning") if isinstance(content, dict) else None
    if not isinstance(origin, dict) or not isinstance(origin.get("schema"), int):
        raise UserError(f"'{path}' is not a checkpoint that gat_lightning wrote.")
    if origin["schema"] > CHECKPOINT_SCHEMA:
        raise UserError(
            f"'{path}' was written by a newer gat_lightning (schema {origin['schema']}; this version reads"
            f" {CHECKPOINT_SCHEMA}): update it with pip install --upgrade gat-lightning."
        )
    if origin["schema"] < CHECKPOINT_SCHEMA:
        raise UserError(
            f"'{path}' was written by an older gat_lightning (schema {origin['schema']}; this version reads"
            f" {CHECKPOINT_SCHEMA}). The last version that reads it is gat-lightning {_LAST_WITH_SCHEMA_1}: use that"
            " one, or train again."
        )
    wrong = [name for name, kind in _PARTS.items() if not isinstance(content.get(name), kind)]
    wrong += [f"gat_lightning.{name}" for name in ("config", "data") if not isinstance(origin.get(name), dict)]
    if not wrong and not all(isinstance(value, Tensor) for value in content["state_dict"].values()):
        wrong = ["state_dict"]
    if wrong:
        raise UserError(f"'{path}' is not a whole checkpoint of gat_lightning: {', '.join(wrong)} is missing or wrong.")
    return content


def check_fits(model: nn.Module, config: DictConfig, path: str | Path) -> None:
    """See that a run can go on from a checkpoint.

    Args:
        model: the run's.
        config: of the run.
        path: the checkpoint.

    Raises:
        UserError: see :func:`load_checkpoint`, or it is of another model or of another kind of training.
    """
    content = load_checkpoint(path)
    states = (_model_state(content), model.state_dict())
    for name in sorted(set().union(*states)):
        shapes = [list(state[name].shape) if name in state else None for state in states]
        if shapes[0] != shapes[1]:
            there, here = ("no such weight" if shape is None else f"shape {shape}" for shape in shapes)
            raise UserError(
                f"'{path}' is of another model: '{name}' has {there} there and {here} here. Go on with the settings of"
                f" that run, or begin a new one with its encoder: init={path}"
            )
    settings = (content["gat_lightning"]["config"], plain(config))
    theirs, ours = (first_values(each, (*_SAME_PARTS, *_SAME_LENGTH)) for each in settings)
    for name in _SAME_PARTS:
        if theirs[name] != ours[name]:
            raise UserError(
                f"'{path}' was trained with another {name.removesuffix('._target_')} ({theirs[name]}): go on with the"
                f" settings of that run, or begin a new one with its weights: init={path}"
            )
    if not any("total_steps" in state for state in content.get("lr_schedulers", ())):
        return
    for name in _SAME_LENGTH:
        if theirs[name] != ours[name]:
            raise UserError(
                f"'{path}' was trained with {name}={theirs[name]}, on which its schedule's length depends, not"
                f" {ours[name]}: go on with {name}={theirs[name]}, or begin a new run with its weights: init={path}"
            )


def initialise(model: MultiTaskModel, path: str | Path) -> list[str]:
    """Begin with a checkpoint's weights: the whole encoder, and the decoders that both have in the same shape.

    Returns:
        Names of the tasks whose decoders were taken over.

    Raises:
        UserError: see :func:`load_checkpoint`, or the encoder is another one.
    """
    theirs = _model_state(load_checkpoint(path))
    ours = model.state_dict()
    for name, value in ours.items():
        if name.startswith("encoder.") and (name not in theirs or theirs[name].shape != value.shape):
            found = f"has shape {list(theirs[name].shape)}" if name in theirs else "is missing"
            raise UserError(
                f"The encoder of '{path}' is not this run's: '{name}' {found} there, and has shape"
                f" {list(value.shape)} here. Choose encoder and data as that run had them."
            )
    fitting = [
        task
        for task, decoder in model.decoders.items()
        if all(
            theirs.get(key, torch.empty(0)).shape == value.shape
            for key, value in decoder.state_dict(prefix=f"decoders.{task}.").items()
        )
    ]
    taken = ("encoder.", *(f"decoders.{task}." for task in fitting))
    model.load_state_dict(ours | {name: value for name, value in theirs.items() if name.startswith(taken)})
    return fitting


def find_resumable(resume: str | None, run: Path) -> Path | None:
    """The checkpoint to go on with: ``auto`` is that of this run's directory, if there is one.

    Args:
        resume: None, ``auto``, a checkpoint, or a run directory.
        run: this run's directory.

    Raises:
        UserError: a path without a checkpoint, or not a checkpoint of ours.
    """
    if resume is None:
        return None
    own = RunDirectory(run).last
    if resume == "auto":
        path = own
        if not own.is_file() and not own.with_name(own.name + PREVIOUS).is_file():
            return None
    else:
        path = Path(resume)
        if not path.exists() and nearest(resume, ["auto"]):
            raise UserError(f"resume={resume}: there is no such checkpoint; did you mean auto?")
        path = RunDirectory(path).last if path.is_dir() else path
    return whole_checkpoint(path)


def whole_checkpoint(path: Path) -> Path:
    """The checkpoint itself, or, where it cannot be read, the one that was there before it.

    Raises:
        UserError: neither can be read; the message is about the first.
    """
    before = path.with_name(path.name + PREVIOUS)
    try:
        load_checkpoint(path)
    except UserError as error:
        if not _is_good(before):
            raise
        log.warning("%s Going on from the one before it, '%s'.", error, before)
        return before
    return path


def last_good(path: Path) -> Path | None:
    """The first that is whole and has finite weights: the checkpoint itself, or the one that was there before it."""
    return next((each for each in (path, path.with_name(path.name + PREVIOUS)) if _is_good(each)), None)


def _is_good(path: Path) -> bool:
    try:
        state = _model_state(load_checkpoint(path))
    except UserError:
        return False
    return all(bool(value.isfinite().all()) for value in state.values())


def load_settings(path: str | Path) -> dict[str, Any]:
    """The training's configuration in a checkpoint; models, tasks and data may be made of it.

    Raises:
        UserError: see :func:`load_checkpoint`, or it names code that is not trusted.
    """
    return _trusted(load_checkpoint(path), path)


def load_model(path: str | Path) -> tuple[MultiTaskModel, list[Task], dict[str, Any]]:
    """The whole model of a checkpoint in eval mode, its tasks (the target first), and the training's configuration.

    Nothing is downloaded: what the encoder began with is left out.

    Raises:
        UserError: see :func:`load_settings`.
    """
    return _built(load_checkpoint(path), path)


def load_classifier(path: str | Path) -> nn.Module:
    """The target's classifier of a checkpoint, in eval mode: the original architecture without auxiliary heads.

    Raises:
        UserError: see :func:`load_settings`.
    """
    return load_model(path)[0].single_task().eval()


def load_described(path: str | Path) -> tuple[nn.Module, Description]:
    """The target's classifier, and what somebody must know of it to use it.

    Raises:
        UserError: see :func:`load_settings`.
    """
    content = load_checkpoint(path)
    model, (target, *_), trained = _built(content, path)
    classifier = model.single_task().eval()
    info = DataInfo.from_plain(content["gat_lightning"]["data"])
    label = info.labels.get(target.name)  # none after a pre-training on a self-supervised task
    mean, std = normalization_of(classifier) or (info.mean, info.std)
    return classifier, Description(
        target=target.name,
        kind=target.kind,
        outputs=target.outputs,
        classes=() if label is None else tuple(label.classes),
        image=info.image,
        mean=tuple(mean),
        std=tuple(std),
        encoder={key: value for key, value in trained["encoder"].items() if key not in INITIAL_WEIGHTS},
    )


def _trusted(content: dict[str, Any], path: str | Path) -> dict[str, Any]:
    try:
        settings = plain(OmegaConf.create(content["gat_lightning"]["config"]))
    except (OmegaConfBaseException, ValueError) as error:
        raise UserError(f"The settings in '{path}' cannot be read: {' '.join(str(error).split())}") from error
    missing = [name for name in ("encoder", "task", "data", "target_task") if not isinstance(settings.get(name), dict)]
    if missing:
        raise UserError(f"The settings in '{path}' lack {', '.join(missing)}: it is not a training's checkpoint.")
    try:
        check_trusted([settings[name] for name in ("encoder", "task", "data")], path)
    except ValueError as error:
        raise UserError(str(error)) from error
    return settings


def _built(content: dict[str, Any], path: str | Path) -> tuple[MultiTaskModel, list[Task], dict[str, Any]]:
    trained = _trusted(content, path)
    try:
        config, info = OmegaConf.create(trained), DataInfo.from_plain(content["gat_lightning"]["data"])
        tasks = build_tasks(config, info)
        for task in tasks:
            task.load_state(content["tasks"][task.name])
        with without_initial_weights():
            model = build_model(config, info, tasks)
        model.load_state_dict(_model_state(content))
    except UserError:
        raise
    except Exception as error:  # whatever settings provoke that a stranger wrote
        if isinstance(error.__cause__, UserError):
            raise
        raise UserError(
            f"No model can be made of '{path}', whose weights and settings do not belong together:"
            f" {' '.join(str(error).split())[:300]}"
        ) from error
    return model.eval(), tasks, trained


def _model_state(content: dict[str, Any]) -> dict[str, Tensor]:
    prefix = "model."
    return {key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)}
