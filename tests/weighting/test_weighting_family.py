"""What must hold for every weighting, and the configurations that make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from weighting_asserts import KINDS, random_jacobian

from gat_lightning.weighting import MGDA, Equal, Weighting

CONFIGURATIONS = Path(__file__).parents[2] / "conf" / "weighting"

WEIGHTINGS = {
    "equal": Equal(),
    "mgda": MGDA(),
    "l2": MGDA(normalize="l2"),
    "loss": MGDA(normalize="loss"),
    "loss+": MGDA(normalize="loss+"),
    "min_weight": MGDA(min_weight=0.05),
    "floor": MGDA(floor={"target": 0.4, "task1/clean": 0.2}, target="task0"),
    "rescale": MGDA(rescale=True),
}


def names_of(count: int) -> list[str]:
    return [f"task{index // 2}/{view}" for index, view in zip(range(count), ("clean", "adv") * count, strict=False)]


@pytest.fixture(params=WEIGHTINGS)
def weighting(request: pytest.FixtureRequest) -> Weighting:
    return WEIGHTINGS[request.param]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_finite_and_the_gramian_is_left_alone(weighting: Weighting, kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        jacobian = random_jacobian(kind, rng)
        count = len(jacobian)
        gramian = torch.from_numpy(jacobian @ jacobian.T)
        losses = torch.from_numpy(rng.exponential(size=count))
        before = gramian.clone()
        weights = weighting(gramian, losses, names_of(count))
        assert weights.shape == (count,)
        assert weights.dtype == torch.float64
        assert weights.isfinite().all()
        assert torch.equal(gramian, before)


@pytest.mark.parametrize("zeros", [1, 2, 5])
def test_zero_gradients_and_losses_give_finite_weights(weighting: Weighting, zeros: int) -> None:
    weights = weighting(torch.zeros(zeros, zeros), torch.zeros(zeros), names_of(zeros))
    assert weights.isfinite().all()


def test_one_objective_has_weight_one(weighting: Weighting) -> None:
    assert weighting(torch.tensor([[3.0]]), torch.tensor([2.0]), ["task0/adv"]).tolist() == [1.0]


def test_weights_follow_their_objectives(weighting: Weighting) -> None:
    rng = np.random.default_rng(1)
    for count in range(3, 17):
        jacobian = rng.standard_normal((count, 60)) + 0.5 * rng.standard_normal(60)
        gramian = torch.from_numpy(jacobian @ jacobian.T)
        losses, names = torch.from_numpy(rng.exponential(size=count)), names_of(count)
        order = rng.permutation(count)
        permuted = weighting(gramian[order][:, order], losses[order], [names[index] for index in order])
        assert permuted.tolist() == pytest.approx(weighting(gramian, losses, names)[order].tolist(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1e15])
def test_weights_do_not_depend_on_the_scale_of_all_gradients(weighting: Weighting, scale: float) -> None:
    rng = np.random.default_rng(2)
    for count in range(2, 17):
        jacobian = rng.standard_normal((count, 60)) + 0.5 * rng.standard_normal(60)
        gramian = torch.from_numpy(jacobian @ jacobian.T)
        losses, names = torch.from_numpy(rng.exponential(size=count)), names_of(count)
        scaled = weighting(scale**2 * gramian, scale * losses, names)
        assert scaled.tolist() == pytest.approx(weighting(gramian, losses, names).tolist(), rel=1e-6, abs=1e-9)


def test_single_precision_gramians_are_accepted(weighting: Weighting) -> None:
    gramian = torch.tensor([[1.0, 0.2], [0.2, 2.0]])
    losses, names = torch.tensor([1.0, 3.0]), names_of(2)
    expected = weighting(gramian.double(), losses, names)
    assert weighting(gramian, losses, names).tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_equal_is_the_sum() -> None:
    assert not Equal.adaptive
    assert Equal()(torch.randn(4, 4)).tolist() == [1.0] * 4
    Equal().check(["class/clean", "class/adv"])


@pytest.mark.parametrize(("name", "expected"), [
    ("equal", [1.0, 1.0]),
    ("mgda", [0.8, 0.2]),
    # w = (0.5, 0.5), and ‖(1, 2)‖ = c ‖(0.5, 1)‖.
    ("mgda_floor", [1.0, 1.0]),
])  # fmt: skip
def test_configurations(name: str, expected: list[float]) -> None:
    config = OmegaConf.create({"data": {"target": "edema"}})
    config.weighting = OmegaConf.load(CONFIGURATIONS / f"{name}.yaml")
    weighting = instantiate(config.weighting)
    names = ["age/clean+adv", "edema/clean+adv"]
    weighting.check(names)
    assert weighting(torch.diag(torch.tensor([1.0, 4.0])), None, names).tolist() == pytest.approx(expected)
