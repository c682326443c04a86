from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gat_lightning.errors import NonFiniteError, SettingError
from gat_lightning.methods import Mart
from gat_lightning.weighting import MGDA, min_norm
from support.weighting_asserts import KINDS, Array, assert_on_simplex, random_jacobian

NAMES = ["class/clean", "class/adv", "macro/clean", "macro/adv"]
COMBINED = ["class/clean+adv", "macro/clean+adv", "macro/curvature"]


def gramian(jacobian: Array) -> torch.Tensor:
    return torch.from_numpy(jacobian @ jacobian.T)


def gradients(seed: int, count: int = 4) -> Array:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, 30)) + 0.3 * rng.standard_normal(30)) * 10 ** rng.uniform(-1, 1, (count, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_without_settings_it_is_the_minimum_norm_point(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        jacobian = random_jacobian(kind, rng)
        weights = MGDA()(gramian(jacobian))
        assert_on_simplex(weights, len(jacobian))
        assert weights.tolist() == min_norm(jacobian @ jacobian.T).tolist()


@pytest.mark.parametrize("normalize", ["none", "l2", "loss", "loss+"])
@pytest.mark.parametrize("rescale", [False, True])
def test_the_weights_are_found_on_the_normalised_gradients(normalize: Any, rescale: bool) -> None:
    losses = np.array([0.1, 2.0, 0.7, 5.0])
    for seed in range(10):
        jacobian = gradients(seed)
        norms = np.linalg.norm(jacobian, axis=1)
        divisors = {"none": np.ones(4), "l2": norms, "loss": losses, "loss+": losses * norms}[normalize]
        normalised = jacobian / divisors[:, None]
        expected = min_norm(normalised @ normalised.T, np.full(4, 0.1)).numpy()
        if rescale:
            expected = expected * np.linalg.norm(jacobian.sum(0)) / np.linalg.norm(expected @ jacobian)
        mgda = MGDA(normalize=normalize, min_weight=0.1, rescale=rescale)
        assert mgda(gramian(jacobian), torch.from_numpy(losses)).tolist() == pytest.approx(expected.tolist(), rel=1e-9)


@pytest.mark.parametrize("normalize", ["l2", "loss", "loss+"])
def test_normalisation_of_zero_gradients_and_losses(normalize: Any) -> None:
    jacobian = gradients(0)
    jacobian[2] = 0
    weights = MGDA(normalize=normalize)(gramian(jacobian), torch.tensor([1.0, 2.0, 0.0, 3.0]))
    assert weights.tolist() == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("normalize", ["loss", "loss+"])
def test_a_loss_of_zero_is_the_limit_of_small_losses(normalize: Any) -> None:
    mgda = MGDA(normalize=normalize)
    products = torch.eye(3)
    zero = mgda(products, torch.tensor([0.0, 1.0, 1.0]))
    assert zero.tolist() == pytest.approx(mgda(products, torch.tensor([1e-12, 1.0, 1.0])).tolist(), abs=1e-9)
    assert zero.tolist() == pytest.approx([0.0, 0.5, 0.5])


@pytest.mark.parametrize("normalize", ["loss", "loss+"])
def test_a_negative_loss_does_not_turn_its_gradient(normalize: Any) -> None:
    mgda = MGDA(normalize=normalize)
    products = gramian(gradients(1))
    losses = torch.tensor([1.0, -2.0, 3.0, -0.5])
    assert torch.equal(mgda(products, losses), mgda(products, losses.abs()))


def test_normalisation_by_norm_ignores_scale() -> None:
    jacobian = gradients(2)
    scaled = jacobian * np.array([1e-15, 1e15, 1.0, 1e-3])[:, None]
    mgda = MGDA(normalize="l2")
    assert mgda(gramian(scaled)).tolist() == pytest.approx(mgda(gramian(jacobian)).tolist(), abs=1e-9)


def test_least_weight_of_all() -> None:
    for seed in range(20):
        weights = MGDA(min_weight=0.15)(gramian(gradients(seed)))
        assert_on_simplex(weights, 4, np.full(4, 0.15))
    assert MGDA(min_weight=0.25)(gramian(gradients(0))).tolist() == pytest.approx([0.25] * 4)
    assert MGDA(min_weight=1 / 3)(gramian(gradients(0, 3))).tolist() == pytest.approx([1 / 3] * 3)


def test_floors_of_named_objectives() -> None:
    products = gramian(gradients(3) * np.array([[1.0], [50.0], [1.0], [50.0]]))
    weights = MGDA(floor={"class/adv": 0.5, "macro/adv": 0.1})(products, None, NAMES)
    assert weights.tolist() == min_norm(products, np.array([0.0, 0.5, 0.0, 0.1])).tolist()
    assert weights[1].item() == pytest.approx(0.5)


@pytest.mark.parametrize(("names", "expected"), [(NAMES, 1), (COMBINED, 0)])
def test_the_floor_of_the_target(names: list[str], expected: int) -> None:
    mgda = MGDA(floor={"target": 0.6})
    mgda.check(names)
    products = torch.ones(len(names), dtype=torch.float64).diag()
    products[expected, expected] = 100.0
    assert mgda(products, None, names)[expected].item() == pytest.approx(0.6)


def test_the_floor_of_a_target_with_two_adversarial_objectives_is_divided() -> None:
    names = Mart(eps=0.1, pairing="separate").names(["class", "macro"])
    assert names[:2] == ["class/bce", "class/kl"]
    mgda = MGDA(floor={"target": 0.5})
    mgda.check(names)
    products = torch.ones(len(names), dtype=torch.float64).diag()
    products[0, 0] = products[1, 1] = 1e4
    weights = mgda(products, None, names)
    assert weights[:2].tolist() == pytest.approx([0.25, 0.25])
    assert weights[2:].sum().item() == pytest.approx(0.5)
    assert mgda(products[1:, 1:], None, names[1:])[0].item() == pytest.approx(0.5)


def test_the_target_may_have_another_name() -> None:
    mgda = MGDA(floor={"target": 0.6}, target="macro")
    assert mgda(torch.tensor([1.0, 100.0, 1.0]).diag(), None, COMBINED)[1].item() == pytest.approx(0.6)


def test_the_highest_floor_counts() -> None:
    mgda = MGDA(min_weight=0.2, floor={"target": 0.3, "class/adv": 0.4, "macro/adv": 0.1})
    weights = mgda(torch.tensor([1.0, 1e4, 1e4, 1e4]).diag(), None, NAMES)
    assert weights.tolist() == pytest.approx([0.2, 0.4, 0.2, 0.2])


def test_the_floor_of_an_objective_that_is_missing_from_a_step() -> None:
    mgda = MGDA(floor={"class/adv": 0.9, "macro/adv": 0.1})
    mgda.check(NAMES)
    kept = ["class/clean", "macro/adv"]
    assert mgda(torch.tensor([1.0, 1e4]).diag(), None, kept).tolist() == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize("settings", [{}, {"normalize": "l2"}, {"floor": {"class/adv": 0.5}}])
def test_rescaling_brings_the_norm_of_the_sum(settings: dict[str, Any]) -> None:
    for seed in range(20):
        jacobian = gradients(seed)
        coefficients = MGDA(rescale=True, **settings)(gramian(jacobian), None, NAMES).numpy()
        assert np.linalg.norm(coefficients @ jacobian) == pytest.approx(np.linalg.norm(jacobian.sum(0)), rel=1e-9)
        plain = MGDA(**settings)(gramian(jacobian), None, NAMES).numpy()
        assert (coefficients / coefficients.sum()).tolist() == pytest.approx(plain.tolist(), rel=1e-9)


@pytest.mark.parametrize("rows", [
    [[1.0, 0.0], [-1.0, 0.0]],
    [[0.3, 0.7], [0.5, -0.2], [-0.8, -0.5]],
    [[0.0, 0.0], [1.0, 2.0]],
    [[0.0, 0.0], [0.0, 0.0]],
    [[1e-160, 0.0], [0.0, 1e150]],
])  # fmt: skip
def test_without_a_direction_nothing_is_rescaled(rows: list[list[float]]) -> None:
    products = gramian(np.array(rows))
    assert MGDA(rescale=True)(products).tolist() == MGDA()(products).tolist()


def test_a_sum_of_zero_is_not_rescaled_to() -> None:
    jacobian = np.array([[1.0, 0.0], [1.0, 0.0], [-2.0, 0.0]])
    mgda = MGDA(rescale=True, floor={"c": 0.9})
    assert mgda(gramian(jacobian), None, ["a", "b", "c"]).sum().item() == pytest.approx(1.0)


def test_a_gramian_that_is_not_finite() -> None:
    for normalize in ("none", "l2"):
        with pytest.raises(NonFiniteError):
            MGDA(normalize=normalize, rescale=True)(torch.tensor([[1.0, torch.nan], [torch.nan, torch.inf]]))


@pytest.mark.parametrize(("settings", "message"), [
    ({"normalize": "l1"}, r"normalize='l1'.*none, l2, loss, loss\+"),
    ({"min_weight": -0.1}, r"min_weight=-0\.1.*at least 0 and at most 1"),
    ({"min_weight": float("nan")}, r"min_weight=nan.*at least 0 and at most 1"),
    ({"floor": {"class/adv": 1.5}}, r"floor\.class/adv=1\.5.*at least 0 and at most 1"),
])  # fmt: skip
def test_impossible_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        MGDA(**settings)


@pytest.mark.parametrize(("settings", "names", "message"), [
    (
        {"floor": {"class/advers": 0.5}},
        COMBINED,
        r"floor names 'class/advers'.* class/clean\+adv, macro/clean\+adv, macro/curvature\.",
    ),
    (
        {"floor": {"target": 0.5}, "target": "edema"},
        ["edema/clean", "age/clean"],
        r"floor\.target needs an adversarial objective of the target task 'edema'.* edema/clean, age/clean.*as Madry",
    ),
    ({"min_weight": 0.4}, COMBINED, r"min_weight=0\.4.*at most 1/3.*3 objectives"),
    (
        {"min_weight": 0.2, "floor": {"target": 0.7}},
        COMBINED,
        r"floor and min_weight add up to 1\.1 \(class/clean\+adv 0\.7, macro/clean\+adv 0\.2, macro/curvature 0\.2\)",
    ),
])  # fmt: skip
def test_settings_that_do_not_fit_the_run(settings: dict[str, Any], names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MGDA(**settings).check(names)


def test_floors_that_do_not_fit_are_refused_in_a_step_too() -> None:
    with pytest.raises(ValueError, match="at most 1/3"):
        MGDA(min_weight=0.4)(torch.eye(3))
    with pytest.raises(ValueError, match=r"add up to 1\.2"):
        MGDA(floor={"a": 0.6, "b": 0.6})(torch.eye(2), None, ["a", "b"])


def test_missing_names_and_losses() -> None:
    with pytest.raises(ValueError, match="names of the objectives"):
        MGDA(floor={"a": 0.5})(torch.eye(2))
    with pytest.raises(ValueError, match="needs the losses"):
        MGDA(normalize="loss")(torch.eye(2))
