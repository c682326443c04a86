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
            assert matrix.of_all[row, column] == pytest.approx(sum(fooled) / 50)
            expected = sum(r and f for r, f in zip(right, fooled, strict=True)) / sum(right)
            assert matrix.of_correct[row, column] == pytest.approx(expected)
            assert matrix.correct[column] == sum(right)
    assert matrix.images == 50
    assert matrix.correct[0] == 40
    assert matrix.of_correct[0, 0] > matrix.of_correct[0, 1:].max()


def test_batch_size_does_not_matter_and_victims_can_differ(images: Tensor, labels: Tensor) -> None:
    source, victims = {"source": model(0)}, {"same": model(0), "other": model(1)}
    attack = PGD(eps=0.05, steps=3)
    first, second = (success_rates(source, images, labels, attack, victims=victims, batch_size=n) for n in (7, 64))
    for rates in ("of_all", "of_correct"):
        assert torch.equal(getattr(first, rates), getattr(second, rates))
        assert getattr(first, rates).shape == (1, 2)
    lines = first.text().splitlines()
    assert lines[0].startswith("Of all 50 images, misclassified (the paper's success rate, 1 - robust accuracy)")
    assert f"same: {first.correct[0]}, other: {first.correct[1]}" in lines[3]
    for line, rates in ((lines[2], first.of_all), (lines[5], first.of_correct)):
        assert line.split()[0] == "source"
        assert float(line.split()[1]) == pytest.approx(100 * float(rates[0, 0]), abs=0.01)


def test_the_paper_s_rate_is_one_minus_the_robust_accuracy_and_counts_what_was_wrong_before(
    images: Tensor, labels: Tensor
) -> None:
    """10 of 50 images are wrong for the source when clean, and an attack of radius 0 fools none of the others."""
    found = success_rates({"a": model(0)}, images, labels, FGSM(eps=0))
    assert float(found.of_all) == 0.2
    assert float(found.of_correct) == 0
    assert found.to_dict() == {
        "success_of_all": {"a": {"a": 0.2}},
        "success_of_correct": {"a": {"a": 0.0}},
        "images": 50,
        "correct_when_clean": {"a": 40},
    }


def test_a_victim_that_knows_nothing_has_no_rate_among_correct_images(images: Tensor) -> None:
    victim = model(0).eval()
    labels = (victim(images).argmax(1) + 1) % 3
    matrix = success_rates({"a": victim}, images, labels, FGSM(eps=0.05))
    assert math.isnan(matrix.of_correct[0, 0])
    assert json.loads(json.dumps(matrix.to_dict(), allow_nan=False)) == {
        "success_of_all": {"a": {"a": 1.0}},
        "success_of_correct": {"a": {"a": None}},
        "images": 50,
        "correct_when_clean": {"a": 0},
    }


def test_refusals(images: Tensor, labels: Tensor) -> None:
    for models, x, y in (
        ({}, images, labels),
        ({"a": model(0)}, images, labels[:3]),
        ({"a": model(0)}, *[images[:0]] * 2),
    ):
        with pytest.raises(ValueError, match="transfer matrix"):
            success_rates(models, x, y, FGSM())
