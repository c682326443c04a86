"""Checkpoints that others may have: what a model needs, and nothing of the machine that trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from gat_lightning.loggers.privacy import public_config

_KEPT = ("epoch", "global_step", "pytorch-lightning_version", "state_dict", "tasks")


def write_shareable(checkpoint: Path, target: Path) -> None:
    """Write a copy that evaluates and exports like the checkpoint, but cannot be resumed.

    The states of optimiser, loops and callbacks are left out, and the configuration is that of
    :func:`~gat_lightning.loggers.privacy.public_config`: without paths, users' names and secrets.

    Args:
        checkpoint: one of ours.
        target: of the copy.
    """
    content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    origin = content["gat_lightning"]
    kept = {key: content[key] for key in _KEPT if key in content}
    kept["gat_lightning"] = {**origin, "config": public_config(OmegaConf.create(origin["config"]))}
    torch.save(kept, target)
