from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import ClassifierProblem


def _plain_model(dtype: torch.dtype = torch.float32) -> nn.Module:
    """A small smooth classifier of 3x8x8 images into 5 classes, without BatchNorm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Flatten(), nn.Linear(512, 5))
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
    return model.to(dtype).eval()


def _normalised_model(dropout: float = 0.0) -> nn.Module:
    """A small classifier with BatchNorm (one part frozen in eval mode), dropout and a frozen parameter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Sequential(nn.Conv2d(8, 8, 3, stride=2), nn.BatchNorm2d(8, momentum=None), nn.SiLU()),
            nn.Flatten(),
            nn.Linear(72, 5),
        )
        model(torch.rand(8, 3, 8, 8))
    model[4][1].eval()
    model[0].bias.requires_grad_(False)
    return model


@pytest.fixture(scope="session")
def plain_model() -> Callable[..., nn.Module]:
    return _plain_model


@pytest.fixture(scope="session")
def normalised_model() -> Callable[..., nn.Module]:
    return _normalised_model


@pytest.fixture
def images() -> Tensor:
    """Random images, of which one in three pixels is at 0 or 1."""
    drawn = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (drawn * 1.5 - 0.25).clamp(0, 1)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])


@pytest.fixture
def problem(labels: Tensor) -> ClassifierProblem:
    return ClassifierProblem(_plain_model(), labels)
