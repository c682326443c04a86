"""The success-rate matrix against a plain loop."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import FGSM, PGD, ClassifierProblem
from gat_lightning.evaluation.transfer import success_rates


def model(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def labels(images: Tensor) -> Tensor:
    """What the first model says, with every fifth label wrong for it."""
    said = model(0).eval()(images).argmax(1)
    return torch.where(torch.arange(50) % 5 == 0, (said + 1) % 3, said)


def test_rates_equal_a_plain_loop(images: Tensor, labels: Tensor) -> None:
    models = {f"model {seed}": model(seed) for seed in range(3)}
    attack = FGSM(eps=0.05)
    matrix = success_rates(models, images, labels, attack, batch_size=16)
    assert all(module.training for each in models.values() for module in each.modules())
    assert matrix.sources == matrix.victims == tuple(models)
    for source in models.values():
        source.eval()
    for row, source in enumerate(models.values()):
        adversarial = attack(ClassifierProblem(source, labels), images)
        for column, victim in enumerate(models.values()):
            right = [int(victim(x[None]).argmax()) == int(y) for x, y in zip(images, labels, strict=True)]
            fooled = [int(victim(x[None]).argmax()) != int(y) for x, y in zip(adversarial, labels, strict=True)]
            expected = sum(r and f for r, f in zip(right, fooled, strict=True)) / sum(right)
            assert matrix.rates[row, column] == pytest.approx(expected)
            assert matrix.images[column] == sum(right)
    assert matrix.images[0] == 40
    assert matrix.rates[0, 0] > matrix.rates[0, 1:].max()


def test_batch_size_does_not_matter_and_victims_can_differ(images: Tensor, labels: Tensor) -> None:
    source, victims = {"source": model(0)}, {"same": model(0), "other": model(1)}
    attack = PGD(eps=0.05, steps=3)
    first, second = (success_rates(source, images, labels, attack, victims=victims, batch_size=n) for n in (7, 64))
    assert torch.equal(first.rates, second.rates)
    assert first.rates.shape == (1, 2)
    lines = first.text().splitlines()
    assert len(lines) == 2
    assert lines[1].split()[0] == "source"
    assert float(lines[1].split()[1]) == pytest.approx(100 * float(first.rates[0, 0]), abs=0.01)


def test_a_victim_that_knows_nothing_has_no_rate(images: Tensor) -> None:
    victim = model(0).eval()
    labels = (victim(images).argmax(1) + 1) % 3
    matrix = success_rates({"a": victim}, images, labels, FGSM(eps=0.05))
    assert math.isnan(matrix.rates[0, 0])
    assert json.loads(json.dumps(matrix.to_dict(), allow_nan=False)) == {
        "success_rate": {"a": {"a": None}},
        "images": {"a": 0},
    }


def test_refusals(images: Tensor, labels: Tensor) -> None:
    for models, x, y in (
        ({}, images, labels),
        ({"a": model(0)}, images, labels[:3]),
        ({"a": model(0)}, *[images[:0]] * 2),
    ):
        with pytest.raises(ValueError, match="transfer matrix"):
            success_rates(models, x, y, FGSM())
