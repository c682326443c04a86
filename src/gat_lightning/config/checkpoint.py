"""Reading checkpoints: plain types and tensors only, so that untrusted files cannot run code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from gat_lightning.config.build import CHECKPOINT_SCHEMA, build_model, build_tasks
from gat_lightning.config.files import plain
from gat_lightning.config.normalization import (
    brought_its_normalization,
    carry_normalization,
    is_of_library,
    normalization_for,
)
from gat_lightning.errors import UserError, one_line
from gat_lightning.formats.base import Description
from gat_lightning.info import DataInfo
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.normalize import Normalization, normalization_of
from gat_lightning.models.trust import check_trusted
from gat_lightning.models.weights import INITIAL_WEIGHTS, without_initial_weights
from gat_lightning.tasks import Task

_LAST_WITH_SCHEMA_1 = "0.1.0"

# What every checkpoint has, among others.
_PARTS = {"state_dict": dict, "tasks": dict, "epoch": int, "global_step": int}


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


def model_state(content: dict[str, Any]) -> dict[str, Tensor]:
    """The model's ``state_dict`` in the content of a checkpoint."""
    prefix = "model."
    return {key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)}


def load_settings(path: str | Path) -> dict[str, Any]:
    """The training's configuration in a checkpoint; models, tasks and data may be made of it.

    Raises:
        UserError: see :func:`load_checkpoint`, or it names code that is not trusted.
    """
    return _trusted(load_checkpoint(path), path)


class Trained(NamedTuple):
    """What a checkpoint holds of a training.

    Attributes:
        model: the whole model, in eval mode.
        tasks: its tasks, the target first.
        settings: the training's configuration.
        info: description of the data that it was trained on.
    """

    model: MultiTaskModel
    tasks: list[Task]
    settings: dict[str, Any]
    info: DataInfo

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the target's classes; none after a pre-training on a self-supervised task."""
        label = self.info.labels.get(self.tasks[0].name)
        return () if label is None else tuple(label.classes)


def load_model(path: str | Path) -> Trained:
    """The whole model of a checkpoint, and what it was trained on.

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
    return load_model(path).model.single_task().eval()


def load_described(path: str | Path) -> tuple[nn.Module, Description]:
    """The target's classifier, and what somebody must know of it to use it.

    Raises:
        UserError: see :func:`load_settings`.
    """
    trained = load_model(path)
    classifier, target, info = trained.model.single_task().eval(), trained.tasks[0], trained.info
    encoder, normalization = _architecture(trained.settings["encoder"]), normalization_of(classifier)
    if normalization is None:
        encoder |= dict(zip(("mean", "std"), normalization_for(trained.settings["encoder"], info), strict=True))
        normalization = Normalization([0.0] * info.image[0], [1.0] * info.image[0])
    return classifier, Description(
        target=target.name,
        kind=target.kind,
        outputs=target.outputs,
        classes=trained.classes,
        image=info.image,
        mean=tuple(normalization.mean),
        std=tuple(normalization.std),
        encoder=encoder,
        patients=info.patients,
    )


def check_order(classes: Sequence[str], info: DataInfo, target: str) -> None:
    """Raise `UserError` if a model's classes are those of the data's target in another order."""
    own = info.labels[target].classes if target in info.labels else ()
    if list(classes) != list(own) and sorted(classes) == sorted(own):
        raise UserError(
            f"The model's classes are {_some(classes)}, and those of the data set '{info.name}' {_some(own)}: the"
            " same in another order, in which its outputs mean other classes. Give the data its order."
        )


def _some(classes: Sequence[str]) -> str:
    return ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")


def _architecture(encoder: dict[str, Any]) -> dict[str, Any]:
    """Settings of an encoder that its architecture follows from. Those of other people's encoders may all be such."""
    left_out = [*INITIAL_WEIGHTS, "mean", "std"] if is_of_library(encoder) else ["mean", "std"]
    return {key: value for key, value in encoder.items() if key not in left_out}


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


def _built(content: dict[str, Any], path: str | Path) -> Trained:
    trained = _trusted(content, path)
    try:
        config, info = OmegaConf.create(trained), DataInfo.from_plain(content["gat_lightning"]["data"])
        tasks = build_tasks(config, info)
        for task in tasks:
            task.load_state(content["tasks"][task.name])
        if brought_its_normalization(content):
            config.encoder.update(mean=None, std=None)  # which earlier versions did not have
        with without_initial_weights():
            model = build_model(config, info, tasks)
        model.load_state_dict(model_state(content))
        carry_normalization(model, content, path)
    except UserError:
        raise
    except Exception as error:  # whatever settings provoke that a stranger wrote
        if isinstance(error.__cause__, UserError):
            raise
        raise UserError(
            f"No model can be made of '{path}', whose weights and settings do not belong together: {one_line(error)}"
        ) from error
    return Trained(model.eval(), tasks, trained, info)
