"""Evaluations composed and run in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from gat_lightning.commands.evaluate.run import run
from gat_lightning.config.check import check
from support.configurations import composed


def settings(directory: Path, *overrides: str) -> DictConfig:
    directory.mkdir(exist_ok=True)
    return composed("evaluate", "images=12", "batch_size=8", f"paths.run={directory}", *overrides)


def evaluated(directory: Path, *overrides: str) -> dict[str, Any]:
    """What ``result.json`` holds."""
    config = settings(directory, *overrides)
    check(config)
    run(config)
    return json.loads((directory / "result.json").read_text())


class Net(nn.Sequential):
    """Somebody's own classifier."""

    def __init__(self, outputs: int = 10) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, outputs))


OWN = ["++model._target_=support.evaluations.Net", "data=digits", "evaluation=fgsm"]
