"""Friendly PGD: when an image stops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gat_lightning.attacks import FriendlyPGD
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.methods import Friendly
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.features import Features
from gat_lightning.tasks import Classification, Views

INFO = DataInfo(
    "any",
    (1, 2, 2),
    (0.0,),
    (1.0,),
    {"class": LabelInfo(("a", "b")), "macro": LabelInfo(("a", "b"))},
)


class Toy(MultiTaskModel):
    """The class is right at first, and macro's loss grows with every pixel."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def encode(self, images: Tensor) -> Features:
        return Features(images.flatten(1))

    def decode(self, features: Features, names: list[str]) -> dict[str, Tensor]:
        sums = features.pooled.sum(1)
        return {name: torch.stack([3 - sums, sums - 3], 1) for name in names}


def tasks() -> list[Classification]:
    found = [Classification("class"), Classification("macro")]
    for task in found:
        task.setup(INFO)
    return found


def test_an_image_without_the_targets_label_makes_all_steps() -> None:
    """Of the other tasks' losses: nothing says that it is misclassified."""
    images = torch.full((2, 1, 2, 2), 0.5)
    labels = {"class": torch.tensor([-1, 0]), "macro": torch.tensor([0, 0])}
    both = tasks()
    method = Friendly(eps=0.25, steps=8, step_size=0.02, tau=0)
    method.attack.random_start = "none"
    problem = method.problem(Toy(), Views(images, labels), both, both)
    adversarial = method.attack(problem, images)
    assert torch.allclose(adversarial - images, torch.full_like(images, 8 * 0.02))


class Flipping:
    """A problem whose one image is misclassified at first, and right again from the third look on, as in train mode."""

    module = None

    def __init__(self) -> None:
        self.looks = 0

    def loss(self, images: Tensor) -> Tensor:
        return images.flatten(1).sum(1)

    def success(self, images: Tensor) -> Tensor:
        self.looks += 1
        return torch.full((len(images),), self.looks <= 2)


def test_an_image_that_has_stopped_stays() -> None:
    images = torch.full((1, 1, 2, 2), 0.5)
    attack = FriendlyPGD(eps=0.25, steps=8, step_size=0.02, tau=1, random_start="none")
    adversarial = attack(Flipping(), images)
    assert torch.allclose(adversarial - images, torch.full_like(images, 0.02))  # tau steps, and no more
