"""Reading checkpoints: plain types and tensors only, so that a file from a stranger cannot run code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from gat_lightning.assembly import build_model, build_tasks
from gat_lightning.data.info import DataInfo, LabelInfo
from gat_lightning.errors import UserError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of ours.

    Raises:
        UserError: there is no such file, it is not a checkpoint of ours, or it holds anything but plain types and
            tensors (nothing of it is then executed).
    """
    if not path.is_file():
        raise UserError(f"There is no checkpoint '{path}'. Runs keep theirs in RUN/checkpoints.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"'{path}' cannot be read as a checkpoint; is it complete, and ours? ({reason})") from None
    if not isinstance(content, dict) or "gat_lightning" not in content:
        raise UserError(f"'{path}' is not a checkpoint that gat_lightning wrote.")
    return content


def load_classifier(path: Path) -> nn.Module:
    """The target's classifier of a checkpoint, in eval mode: the original architecture without auxiliary heads.

    Raises:
        UserError: see :func:`load_checkpoint`.
    """
    content = load_checkpoint(path)
    config = OmegaConf.create(content["gat_lightning"]["config"])
    data = content["gat_lightning"]["data"]
    labels = {name: LabelInfo(tuple(label["classes"])) for name, label in data["labels"].items()}
    info = DataInfo(data["name"], tuple(data["image"]), tuple(data["mean"]), tuple(data["std"]), labels)
    model = build_model(config, info, build_tasks(config, info))
    prefix = "model."
    state = {key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)}
    model.load_state_dict(state)
    return model.single_task().eval()
