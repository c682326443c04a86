"""Classifiers that somebody wrote, checkpoints of models that were not trained, and exports of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gat_lightning.commands.export import run
from gat_lightning.config.build import build_data, build_module
from gat_lightning.models import normalized
from support.configurations import composed


class Own(nn.Module):
    """Somebody's classifier: a head under two names, one buffer, and no normalisation of its own."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.register_buffer("scale", torch.full((1,), 2.0))
        self.head = self.alias = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.alias(self.scale * torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def own(*, num_classes: int, image: tuple[int, int, int], mean: Any, std: Any, width: int = 4) -> nn.Module:
    return normalized(Own(num_classes, width), mean, std)


class Branching(nn.Module):
    """Somebody's classifier whose code asks how bright a batch is, or how large."""

    def __init__(self, num_classes: int, when: str) -> None:
        super().__init__()
        self.when, self.fc = when, nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        taken = {
            "bright": lambda: x.mean() > 0.8,
            "dark": lambda: x.amax() < 0.2,
            "one": lambda: len(x) == 1,
            "several": lambda: len(x) > 4,
            "never": lambda: x.amax() > 2,
        }[self.when]()
        return self.fc(-x.flatten(1) if taken else x.flatten(1))


def branching(*, num_classes: int, image: tuple[int, int, int], mean: Any, std: Any, when: str) -> nn.Module:
    return Branching(num_classes, when)


class Weighted(nn.Module):
    """Somebody's classifier with an argument called ``weights``, which is no file, and no normalisation of ours."""

    def __init__(
        self, num_classes: int, image: tuple[int, int, int], mean: Any, std: Any, weights: list[float]
    ) -> None:
        super().__init__()
        self.shift, self.weights, self.fc = 2 * mean[0], list(weights), nn.Linear(64 * len(weights), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.cat([weight * (x - self.shift).flatten(1) for weight in self.weights], 1))


def precise(*, num_classes: int, image: tuple[int, int, int], mean: Any, std: Any, dtype: str) -> nn.Module:
    return own(num_classes=num_classes, image=image, mean=mean, std=std).to(getattr(torch, dtype))


def encoder(name: str) -> str:
    """The override that chooses one of these as the encoder."""
    return f"encoder._target_={__name__}.{name}"


def checkpoint(directory: Path, *overrides: str) -> Path:
    """Of a model that was not trained, but whose parameters and statistics are all of their own."""
    config = composed("train", "experiment=quickstart", "task=macro+rotation", "paths.run=.", *overrides)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build_module(config, build_data(config).info)
        with torch.no_grad():
            for name, tensor in module.model.state_dict().items():
                if tensor.is_floating_point():
                    tensor.mul_(1 + 0.1 * torch.rand_like(tensor)).add_(0.01 * torch.rand_like(tensor))
                assert torch.isfinite(tensor).all(), name
    content: dict[str, Any] = {"state_dict": module.state_dict(), "epoch": 0, "global_step": 0}
    module.on_save_checkpoint(content)
    path = directory / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(content, path)
    return path


def exported(path: Path, *overrides: str) -> Path:
    return run(composed("export", f"checkpoint={path}", *overrides))
