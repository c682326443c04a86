"""Targeted attacks move images towards a class, and gradients of random models are averaged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchattacks
from torch import Tensor, nn

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, AutoAttackRand, ClassifierProblem, LossProblem
from gat_lightning.attacks.apgd import APGDCE
from gat_lightning.attacks.iterative import IterativeAttack
from gat_lightning.errors import SettingError
from gat_lightning.evaluation.becoming import becoming
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.randomness import BatchGenerator, Shard

ModelMaker = Callable[..., nn.Module]
EPS = 8 / 255
TARGETED = [FGSM, BIM, MIM, PGD]


def key() -> BatchGenerator:
    return BatchGenerator(Shard.whole(8), "test")


@pytest.mark.parametrize("kind", TARGETED)
@pytest.mark.parametrize("targeted", ["least_likely", "random", 2])
def test_the_loss_of_the_target_falls(
    kind: type[IterativeAttack], targeted: str | int, plain_model: ModelMaker, images: Tensor, labels: Tensor
) -> None:
    model = plain_model()
    attack = kind(eps=EPS, targeted=targeted)
    adversarial = attack(ClassifierProblem(model, labels), images, key())
    targets = attack.targets
    assert targets is not None
    left = targets < 0
    assert torch.equal(left, (labels == 2) if targeted == 2 else torch.zeros(8, dtype=torch.bool))
    assert torch.equal(adversarial[left], images[left])
    assert (targets != labels).all()

    def loss(x: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(x), targets.clamp(min=0), reduction="none")[~left]

    assert (loss(adversarial) < loss(images)).all()
    assert ((adversarial - images).abs() <= EPS + 1e-7).all()
    assert attack.name.endswith({2: "-to2"}.get(targeted, f"-{targeted}"))


def test_least_likely_is_the_lowest_logit_of_the_wrong_classes(
    plain_model: ModelMaker, images: Tensor, labels: Tensor
) -> None:
    model = plain_model()
    attack = BIM(eps=EPS, targeted="least_likely")
    attack(ClassifierProblem(model, labels), images)
    logits = model(images).tolist()
    lowest = [
        min((value, number) for number, value in enumerate(row) if number != label)[1]
        for row, label in zip(logits, labels.tolist(), strict=True)
    ]
    assert attack.targets is not None
    assert attack.targets.tolist() == lowest


def test_random_targets_are_each_wrong_class_equally_often(plain_model: ModelMaker) -> None:
    labels = torch.arange(5).repeat(400)
    attack = FGSM(eps=EPS, targeted="random")
    attack(ClassifierProblem(plain_model(), labels), torch.zeros(2000, 3, 8, 8))
    assert attack.targets is not None
    counts = torch.zeros(5, 5).index_put_((labels, attack.targets), torch.ones(()), accumulate=True)
    assert (counts.diagonal() == 0).all()
    assert ((counts[~torch.eye(5, dtype=torch.bool)] - 100).abs() < 40).all()


def test_equals_torchattacks_towards_a_class(plain_model: ModelMaker, images: Tensor) -> None:
    model, labels = plain_model(), torch.full((8,), 0)
    theirs = torchattacks.PGD(model, EPS, 2 / 255, 10, False)
    theirs.set_mode_targeted_by_label(quiet=True)
    ours = PGD(eps=EPS, step_size=2 / 255, random_start="none", targeted=3)
    assert torch.equal(ours(ClassifierProblem(model, labels), images), theirs(images, torch.full((8,), 3)))


def test_targets_have_names_and_others_are_refused() -> None:
    attack = BIM(targeted="cat")
    attack.name_classes(["dog", "cat"])
    assert (attack.targeted, attack.name) == (1, "bim10-to1")
    for wrong in ("cow", 2):
        with pytest.raises(SettingError, match="one of: least_likely, random, dog, cat"):
            BIM(targeted=wrong).name_classes(["dog", "cat"])
    with pytest.raises(SettingError, match="random, a class from 0 to 99"):
        BIM(targeted="cow").name_classes(list(map(str, range(100))))


def test_a_target_needs_a_decision_and_a_class_that_there_is(
    plain_model: ModelMaker, images: Tensor, labels: Tensor
) -> None:
    with pytest.raises(ValueError, match="not defined for a loss alone"):
        BIM(targeted="random")(LossProblem(lambda x: x.sum((1, 2, 3))), images)
    with pytest.raises(ValueError, match="a class from 0 to 4"):
        BIM(targeted=5)(ClassifierProblem(plain_model(), labels), images)


def test_which_class_becomes_which() -> None:
    said, labels = np.array([1, 2, 1, 0, -2]), np.array([0, 0, 1, 2, 2])
    outcomes = Outcomes(said, said == labels, np.zeros(5, np.float32), np.zeros(5, np.float32))
    found = becoming(outcomes, labels, np.array([1, 1, -1, 0, 1]), 3)
    assert (found.attacked, found.reached, found.fooled) == (4, 0.5, 1.0)
    assert found.record(["a", "b", "c"])["becomes"] == {"a": {"b": 1, "c": 1}, "c": {"a": 1}}


class Noisy(nn.Module):
    """A linear classifier whose weights are noisy: the gradient of a draw points anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 192, generator=torch.Generator().manual_seed(0)))
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        noise = 20 * torch.randn(self.weight.shape)
        return 0.01 * images.flatten(1) @ (self.weight + noise).T


@pytest.mark.parametrize("kind", [FGSM, PGD])
def test_averaged_gradients_point_where_the_mean_does(kind: type[IterativeAttack], images: Tensor) -> None:
    labels, agreement = torch.zeros(8, dtype=torch.long), {}
    for eot in (1, 400):
        model = Noisy()
        torch.manual_seed(1)
        steps = {} if kind is FGSM else {"steps": 3, "random_start": "none"}
        adversarial = kind(eps=EPS, eot=eot, **steps)(ClassifierProblem(model, labels), images, key())
        assert model.calls == eot * (1 if kind is FGSM else 3)
        mean = (model.weight[1] - model.weight[0]).sign().view(3, 8, 8)
        inside = (images > EPS) & (images < 1 - EPS)
        agreement[eot] = float(((adversarial - images).sign() == mean)[inside].float().mean())
    assert agreement[1] < 0.6
    assert agreement[400] > 0.6


@pytest.mark.parametrize("norm", ["Linf", "L1"])
def test_apgd_averages_so_many_gradients(norm: str, images: Tensor) -> None:
    model = Noisy()
    calls = {}
    for eot in (1, 5):
        model.calls = 0
        APGDCE(norm=norm, eps=0.01, steps=4, eot=eot)(
            ClassifierProblem(model, torch.zeros(8, dtype=torch.long)), images
        )
        calls[eot] = model.calls
    assert calls[5] - calls[1] >= 4 * 5


def test_version_rand_is_that_of_the_authors() -> None:
    attack = AutoAttackRand()
    assert [member.name for member in attack.members] == ["apgd_ce", "apgd_dlr"]
    assert {(member.steps, member.eot, member.restarts) for member in attack.members} == {(100, 20, 1)}
