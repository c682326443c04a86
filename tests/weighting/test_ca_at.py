"""CA-AT against the rule of its paper, written on the gradients themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gat_lightning.errors import SettingError
from gat_lightning.weighting import CAAT
from support.weighting_asserts import Array

ONE = ["class/clean", "class/adv"]


def step(rule: CAAT, jacobian: Array, names: list[str]) -> Array:
    return rule(torch.from_numpy(jacobian @ jacobian.T), None, names).numpy() @ jacobian


def published(clean: Array, adversarial: Array, gamma: float) -> Array:
    lengths = np.linalg.norm(clean), np.linalg.norm(adversarial)
    cosine = clean @ adversarial / lengths[0] / lengths[1]
    if cosine >= gamma:
        return clean
    sine, wanted = np.sqrt(1 - cosine**2), np.sqrt(1 - gamma**2)
    return adversarial + lengths[1] * (gamma * sine - cosine * wanted) / (lengths[0] * wanted) * clean


def pairs(count: int) -> list[Array]:
    """Gradients with any angle between them, and with lengths of different magnitude."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        gradients = rng.standard_normal((2, 20))
        gradients[1] += rng.uniform(-3, 3) * gradients[0]
        found.append(gradients * 10 ** rng.uniform(-3, 3, (2, 1)))
    return found


@pytest.mark.parametrize("gamma", [-0.3, 0.0, 0.5, 0.9])
def test_the_step_is_that_of_the_paper(gamma: float) -> None:
    turned = 0
    for jacobian in pairs(50):
        found = step(CAAT(gamma), jacobian, ONE)
        assert np.linalg.norm(found - published(*jacobian, gamma)) <= 1e-9 * np.linalg.norm(found)
        if not np.array_equal(found, jacobian[0]):
            turned += 1
            cosine = found @ jacobian[0] / np.linalg.norm(found) / np.linalg.norm(jacobian[0])
            assert cosine == pytest.approx(gamma, abs=1e-9)
    assert 5 < turned < 50


def test_several_tasks_count_by_the_sums_of_their_clean_and_of_their_adversarial_gradients() -> None:
    names = ["class/clean", "macro/clean", "class/kl", "macro/adv", "rotation/clean"]
    rng = np.random.default_rng(1)
    for _ in range(20):
        jacobian = rng.standard_normal((5, 20)) + rng.uniform(0, 3) * rng.standard_normal(20)
        sums = np.array([jacobian[[0, 1, 4]].sum(axis=0), jacobian[2:4].sum(axis=0)])
        found = step(CAAT(), jacobian, names)
        assert np.linalg.norm(found - step(CAAT(), sums, ONE)) <= 1e-9 * np.linalg.norm(found)


def test_a_side_without_a_gradient_leaves_the_step_to_the_other() -> None:
    rule = CAAT()
    jacobian = np.array([[1.0, 2.0], [-1.0, -2.0], [3.0, 1.0]])
    assert step(rule, jacobian, ["class/clean", "macro/clean", "class/adv"]).tolist() == [3.0, 1.0]
    assert step(rule, jacobian, ["class/adv", "macro/adv", "class/clean"]).tolist() == [3.0, 1.0]
    assert rule(torch.tensor([[4.0]]), None, ["class/adv"]).tolist() == [1.0]
    assert rule(torch.tensor([[4.0]]), None, ["class/clean"]).tolist() == [1.0]
    opposite = np.array([[1.0, 2.0], [-2.0, -4.0]])
    assert np.linalg.norm(step(rule, opposite, ONE)) < 1e-6


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["class/clean+adv"], r"'class/clean\+adv' is both: set method\.pairing=separate"),
        ([*ONE, "macro/curvature"], r"'macro/curvature' is neither: set curvature\.mode=penalty or"),
        (["class/adv", "macro/adv"], r"the objectives are class/adv, macro/adv: set method=madry_separate"),
        (["class/clean"], r"the objectives are class/clean: set"),
        (["0", "1"], r"'0' is neither: names are TASK/VIEW"),
    ],
)
def test_objectives_that_are_not_clean_or_adversarial_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CAAT().check(names)


def test_objectives_of_both_kinds_are_accepted() -> None:
    CAAT().check(ONE)
    CAAT().check([*ONE, "macro/clean", "macro/kl"])


@pytest.mark.parametrize("gamma", [1.0, -1.0, float("nan")])
def test_a_cosine_that_no_step_can_have_is_refused(gamma: float) -> None:
    with pytest.raises(SettingError, match=r"gamma=.*above -1 and below 1"):
        CAAT(gamma)
