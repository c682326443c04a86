"""Images of half precision: adversarial ones stay in the ball."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import APGDCE, BIM, FAB, FGSM, MIM, PGD, Attack, ClassifierProblem, FriendlyPGD, Square

ORDERS = {"Linf": float("inf"), "L2": 2.0, "L1": 1.0}
BUDGETS = {"Linf": 8 / 255, "L2": 0.5, "L1": 5.0}
OURS, EXTERNAL = (FGSM, BIM, MIM, PGD, FriendlyPGD), (APGDCE, FAB, Square)
ATTACKS = [*product(OURS, ORDERS), *product(EXTERNAL, ("Linf", "L2"))]


def half_problem(dtype: torch.dtype) -> tuple[ClassifierProblem, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(8, 3, 8, 8, generator=generator) * 1.5 - 0.25).clamp(0, 1).to(dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 5)).to(dtype).eval()
    return ClassifierProblem(model, model(images).argmax(1)), images


def made(kind: type[Attack], norm: str) -> Attack:
    settings = {"Square": {"queries": 20, "seed": 0}, "APGDCE": {"steps": 5, "seed": 0}, "FAB": {"steps": 5, "seed": 0}}
    return kind(norm=norm, eps=BUDGETS[norm], **settings.get(kind.__name__, {}))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("kind", "norm"), ATTACKS)
def test_adversarial_images_of_half_precision_are_in_the_ball(
    kind: type[Attack], norm: str, dtype: torch.dtype
) -> None:
    problem, images = half_problem(dtype)
    adversarial = made(kind, norm)(problem, images)
    assert adversarial.dtype == dtype
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    size = torch.linalg.vector_norm((adversarial.double() - images.double()).flatten(1), ORDERS[norm], dim=1)
    assert size.max() <= BUDGETS[norm] * (1 + 1e-5)
    assert size.max() > BUDGETS[norm] / 4


def test_a_loss_function_of_half_precision_images_is_asked_with_such_images() -> None:
    problem, images = half_problem(torch.bfloat16)
    asked = []

    def loss(x: Tensor) -> Tensor:
        asked.append(x.dtype)
        return problem.loss(x)

    PGD(steps=2)(loss, images)
    assert asked == [torch.bfloat16] * 2


def test_autocast_does_not_move_images_out_of_the_ball() -> None:
    problem, images = half_problem(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        adversarial = PGD(eps=8 / 255, steps=5)(problem, images)
    assert adversarial.dtype == torch.float32
    assert (adversarial.double() - images.double()).abs().max() <= 8 / 255 + 1e-7
