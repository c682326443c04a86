"""Square and AutoAttack on pictures of any shape."""

from __future__ import annotations

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from gat_lightning.attacks import ClassifierProblem, LossProblem, Square
from gat_lightning.attacks.autoattack import AutoAttack

SHAPES = [(8, 24), (24, 8), (5, 17), (17, 5), (12, 12), (14, 14), (24, 24), (6, 96), (9, 10)]
"""Pictures that are not square, and square ones that torchattacks' tiles overlap."""
EPS = {"Linf": 0.1, "L2": 1.0}


def pictures(height: int, width: int, size: int = 6) -> tuple[ClassifierProblem, Tensor]:
    images = torch.rand(size, 3, height, width, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * height * width, 4))
    return ClassifierProblem(model, model(images).argmax(1)), images


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_a_search_raises_the_loss_within_the_ball(shape: tuple[int, int], norm: str) -> None:
    problem, images = pictures(*shape)
    loss = LossProblem(problem.loss, problem.module)
    few, many = (Square(norm=norm, eps=EPS[norm], queries=queries, seed=1)(loss, images) for queries in (1, 60))
    order = float("inf") if norm == "Linf" else 2
    for found in (few, many):
        size = torch.linalg.vector_norm((found - images).flatten(1), order, dim=1)
        assert (size <= EPS[norm] * (1 + 1e-5)).all()
    assert (loss.loss(many) >= loss.loss(few)).all()
    assert (loss.loss(many) > loss.loss(images)).all()


@pytest.mark.parametrize("shape", [(8, 24), (24, 8)])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_autoattack_runs_to_its_end(shape: tuple[int, int], norm: str) -> None:
    problem, images = pictures(*shape)
    attack = AutoAttack(norm=norm, eps=EPS[norm] / 20, steps=2, queries=10, seed=0)
    assert attack(problem, images).shape == images.shape


@pytest.mark.parametrize("side", [5, 8, 10, 13, 28, 32])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_where_torchattacks_works_the_images_are_the_same(side: int, norm: str) -> None:
    problem, images = pictures(side, side)
    eps = EPS[norm] * 8
    settings = {"norm": norm, "eps": eps, "n_queries": 30, "seed": 3}
    with torch.random.fork_rng(devices=[]):
        expected = torchattacks.Square(problem.model, **settings)(images, problem.labels)
    found = Square(norm=norm, eps=eps, queries=30, seed=3)(problem, images)
    assert not torch.equal(found, images)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("attack", [Square(norm="L2", eps=1.0), AutoAttack(norm="L2", eps=1.0)])
def test_pictures_that_are_too_small_are_refused(attack: Square | AutoAttack) -> None:
    with pytest.raises(ValueError, match=r"Square in L2 needs images of at least 5x5 pixels, got \[4, 30\]"):
        attack.check_images(3, 4, 30)
