"""Images whose gradient is exactly zero are counted by every gradient attack."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, Attack, ClassifierProblem, FriendlyPGD, Square
from gat_lightning.attacks.apgd import APGDCE, APGDT
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.attacks.cw import CW
from gat_lightning.attacks.fab import FAB

SHORT = {"steps": 3, "seed": 0}
GRADIENT_ATTACKS = [
    FGSM(),
    BIM(steps=3),
    MIM(steps=3),
    PGD(steps=3),
    PGD(steps=2, restarts=2),
    PGD(steps=3, loss="margin"),
    PGD(steps=3, loss="dlr"),
    FriendlyPGD(steps=3),
    APGDCE(**SHORT),
    APGDT(**SHORT),
    FAB(**SHORT),
    AutoAttack(**SHORT, queries=3),
]


class HalfFlat(nn.Module):
    """A classifier that sees the images of its mask in 256 grey levels: those have no gradient."""

    def __init__(self, flat: Tensor) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.linear = nn.Linear(48, 5)
        self.linear.weight.data.view(5, 3, 4, 4)[:, 0, 3, 3] = 0
        self.flat = flat

    def forward(self, images: Tensor) -> Tensor:
        # Images are told apart by a pixel that is their number / 100, and without effect on the logits.
        number = (images[:, 0, 3, 3] * 100).round().long().clamp(0, len(self.flat) - 1)
        seen = torch.where(self.flat[number][:, None, None, None], (images * 255).round() / 255, images)
        return self.linear(seen.flatten(1)) + 0 * images.sum()


FLAT = torch.tensor([True, False, False, True, False, True])


def numbered() -> Tensor:
    images = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    images[:, 0, 3, 3] = torch.arange(6) / 100
    return images


@pytest.mark.parametrize("attack", GRADIENT_ATTACKS, ids=lambda attack: attack.name)
def test_the_images_without_a_gradient_are_those_that_the_model_rounds(attack: Attack) -> None:
    model, images = HalfFlat(FLAT), numbered()
    small = type(attack).__new__(type(attack))
    small.__dict__ |= attack.__dict__ | {"eps": 0.004}  # so small that every image keeps its number
    small(ClassifierProblem(model, model(images).argmax(1)), images)
    assert small.zero_gradient.tolist() == FLAT.tolist()


def test_attacks_without_a_gradient_count_nothing() -> None:
    model, images = HalfFlat(FLAT), numbered()
    problem = ClassifierProblem(model, model(images).argmax(1))
    for attack in (Square(queries=3), CW(eps=0.5, steps=3)):
        attack(problem, images)
        assert attack.zero_gradient is None


def test_a_success_of_dlr_is_no_zero_gradient() -> None:
    """Where the class is third, the ratio is constant."""
    images = torch.tensor([3.0, 2.0, 1.0, 0.0])[None, :, None, None] / 4
    attack = BIM(eps=0.01, steps=3, loss="dlr")
    attack(ClassifierProblem(nn.Flatten(), torch.tensor([2])), images)
    assert attack.zero_gradient.tolist() == [False]


def test_a_count_is_that_of_the_last_call() -> None:
    model, images = HalfFlat(FLAT), numbered()
    labels = model(images).argmax(1)
    attack = FGSM(eps=0.001)
    attack(ClassifierProblem(model, labels), images)
    attack(ClassifierProblem(model, labels[1:3]), images[1:3])
    assert attack.zero_gradient.tolist() == [False, False]
