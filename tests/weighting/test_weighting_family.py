"""What must hold for every weighting, and the configurations that make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gat_lightning.errors import NonFiniteError, SettingError
from gat_lightning.weighting import (
    CAAT,
    IMTL,
    MGDA,
    AlignedMTL,
    CAGrad,
    Equal,
    Fixed,
    GradVac,
    NashMTL,
    PCGrad,
    UPGrad,
    Weighting,
)
from support.weighting_asserts import KINDS, random_jacobian

Make = Callable[[], Weighting]

CONFIGURATIONS = Path(__file__).parents[2] / "conf" / "weighting"

WEIGHTINGS: dict[str, Make] = {
    "equal": Equal,
    "fixed": lambda: Fixed({"task0/adv": 1.0}, default=0.5),
    "mgda": MGDA,
    "l2": lambda: MGDA(normalize="l2"),
    "loss": lambda: MGDA(normalize="loss"),
    "loss+": lambda: MGDA(normalize="loss+"),
    "min_weight": lambda: MGDA(min_weight=0.05),
    "floor": lambda: MGDA(floor={"target": 0.4, "task1/clean": 0.2}, target="task0"),
    "rescale": lambda: MGDA(rescale=True),
    "imtl": IMTL,
    "gradvac": GradVac,
    "pcgrad": PCGrad,
    "cagrad": CAGrad,
    "cagrad, large c": lambda: CAGrad(c=4.0),
    "aligned_mtl": AlignedMTL,
    "nash_mtl": NashMTL,
    "nash_mtl, no limit": lambda: NashMTL(max_norm=None),
    "upgrad": UPGrad,
    "ca_at": CAAT,
}
ALONE = {"cagrad": 1.5, "cagrad, large c": 5.0, "nash_mtl": 3**-0.5}


def names_of(count: int) -> list[str]:
    return [f"task{index // 2}/{view}" for index, view in zip(range(count), ("clean", "adv") * count, strict=False)]


@pytest.fixture(params=WEIGHTINGS)
def make(request: pytest.FixtureRequest) -> Make:
    """Makes the weighting afresh, without anything that earlier calls left."""
    return WEIGHTINGS[request.param]


@pytest.fixture
def weighting(make: Make) -> Weighting:
    return make()


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


@settings(max_examples=20)
@given(
    exponents=st.lists(st.floats(-170, 154), min_size=1, max_size=7),
    size=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("name", sorted(set(WEIGHTINGS) - {"floor", "loss", "loss+", "ca_at"}))
def test_any_finite_gramian_gives_finite_weights(name: str, exponents: list[float], size: int, seed: int) -> None:
    directions = np.random.default_rng(seed).standard_normal((len(exponents), size))
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    jacobian = directions * 10 ** np.array(exponents)[:, None]
    assert WEIGHTINGS[name]()(torch.from_numpy(jacobian @ jacobian.T)).isfinite().all()


def test_gramians_of_rounded_gradients_give_finite_weights(weighting: Weighting) -> None:
    rng = np.random.default_rng(3)
    for kind in KINDS:
        jacobian = random_jacobian(kind, rng)
        norms = np.linalg.norm(jacobian, axis=1)
        noise = 1e-7 * rng.uniform(-1, 1, (len(norms), len(norms))) * norms[:, None] * norms
        losses = torch.from_numpy(rng.exponential(size=len(norms)))
        weights = weighting(torch.from_numpy(jacobian @ jacobian.T + noise), losses, names_of(len(norms)))
        assert weights.isfinite().all()


def test_a_gramian_that_is_not_finite_or_square(weighting: Weighting) -> None:
    if not weighting.adaptive:
        return
    with pytest.raises(NonFiniteError):
        weighting(torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]]), torch.ones(2), names_of(2))
    with pytest.raises(ValueError, match="square matrix"):
        weighting(torch.ones(2, 3), torch.ones(2), names_of(2))


def test_one_objective_alone(request: pytest.FixtureRequest, weighting: Weighting) -> None:
    expected = ALONE.get(request.node.callspec.params["make"], 1.0)
    weights = weighting(torch.tensor([[3.0]]), torch.tensor([2.0]), ["task0/adv"])
    assert weights.tolist() == pytest.approx([expected], rel=1e-14)


def test_weights_follow_their_objectives(make: Make) -> None:
    rng = np.random.default_rng(1)
    for count in range(3, 17):
        jacobian = rng.standard_normal((count, 60)) + 0.5 * rng.standard_normal(60)
        gramian = torch.from_numpy(jacobian @ jacobian.T)
        losses, names = torch.from_numpy(rng.exponential(size=count)), names_of(count)
        order = rng.permutation(count)
        permuted = make()(gramian[order][:, order], losses[order], [names[index] for index in order])
        assert permuted.tolist() == pytest.approx(make()(gramian, losses, names)[order].tolist(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("make", [WEIGHTINGS[name] for name in WEIGHTINGS if name != "nash_mtl"])
@pytest.mark.parametrize("scale", [1e-30, 1e15])
def test_weights_do_not_depend_on_the_scale_of_all_gradients(make: Make, scale: float) -> None:
    rng = np.random.default_rng(2)
    for count in range(2, 17):
        jacobian = rng.standard_normal((count, 60)) + 0.5 * rng.standard_normal(60)
        gramian = torch.from_numpy(jacobian @ jacobian.T)
        losses, names = torch.from_numpy(rng.exponential(size=count)), names_of(count)
        scaled = make()(scale**2 * gramian, scale * losses, names)
        assert scaled.tolist() == pytest.approx(make()(gramian, losses, names).tolist(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["imtl", "nash_mtl", "nash_mtl, no limit"])
def test_the_direction_does_not_depend_on_the_scale_of_any_gradient(name: str) -> None:
    rng = np.random.default_rng(4)
    for count in range(2, 17):
        jacobian = rng.standard_normal((count, 60)) + 0.5 * rng.standard_normal(60)
        scales = 10 ** rng.uniform(-8, 8, count)
        plain = WEIGHTINGS[name]()(torch.from_numpy(jacobian @ jacobian.T)).numpy() @ jacobian
        scaled_jacobian = scales[:, None] * jacobian
        scaled = WEIGHTINGS[name]()(torch.from_numpy(scaled_jacobian @ scaled_jacobian.T)).numpy() @ scaled_jacobian
        cosine = plain @ scaled / np.linalg.norm(plain) / np.linalg.norm(scaled)
        assert abs(cosine) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("name", ["gradvac", "pcgrad", "upgrad", "equal", "fixed"])
def test_the_step_is_linear_in_the_scales_of_the_gradients(name: str) -> None:
    rng = np.random.default_rng(5)
    for count in range(2, 17):
        jacobian = rng.standard_normal((count, 60))
        weightings = [WEIGHTINGS[name]() for _ in range(3)]
        for _ in range(3):
            first, second = 10 ** rng.uniform(-3, 3, (2, count))
            steps = []
            for scales, weighting in zip((first, second, first + second), weightings, strict=True):
                scaled = scales[:, None] * jacobian
                weights = weighting(torch.from_numpy(scaled @ scaled.T), None, names_of(count))
                steps.append(weights.numpy() @ scaled)
            difference = np.linalg.norm(steps[0] + steps[1] - steps[2])
            assert difference <= 1e-9 * np.linalg.norm(steps[2])


@pytest.mark.parametrize("name", ["imtl", "gradvac", "pcgrad", "cagrad", "aligned_mtl", "nash_mtl", "upgrad"])
def test_a_zero_gradient_changes_nothing_for_the_others(name: str) -> None:
    rng = np.random.default_rng(6)
    for count in range(2, 9):
        jacobian = rng.standard_normal((count, 20))
        names = names_of(count)
        present = [index for index in range(count) if index != 1]
        rest = WEIGHTINGS[name]()(
            torch.from_numpy(jacobian[present] @ jacobian[present].T), None, [names[index] for index in present]
        )
        jacobian[1] = 0
        weights = WEIGHTINGS[name]()(torch.from_numpy(jacobian @ jacobian.T), None, names)
        assert weights[1].item() == 0.0
        assert weights[present].tolist() == pytest.approx(rest.tolist(), rel=1e-12)


@pytest.mark.parametrize("name", ["gradvac", "pcgrad", "cagrad, large c", "nash_mtl", "upgrad", "imtl", "mgda"])
def test_opposite_gradients_annul_each_other(name: str) -> None:
    jacobian = np.array([[1.0, 2.0], [-3.0, -6.0]])
    weights = WEIGHTINGS[name]()(torch.from_numpy(jacobian @ jacobian.T)).numpy()
    assert np.linalg.norm(weights @ jacobian) < 1e-6


def test_single_precision_gramians_are_accepted(make: Make) -> None:
    gramian = torch.tensor([[1.0, 0.2], [0.2, 2.0]])
    losses, names = torch.tensor([1.0, 3.0]), names_of(2)
    expected = make()(gramian.double(), losses, names)
    assert make()(gramian, losses, names).tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_equal_is_the_sum() -> None:
    assert not Equal.adaptive
    assert Equal()(torch.randn(4, 4)).tolist() == [1.0] * 4
    Equal().check(["class/clean", "class/adv"])


@pytest.mark.parametrize(("create", "message"), [
    (lambda: CAGrad(-0.1), r"c=-0\.1.*at least 0"),
    (lambda: CAGrad(float("inf")), r"c=inf.*at least 0"),
    (lambda: GradVac(beta=1.5), r"beta=1\.5.*at least 0 and at most 1"),
    (lambda: NashMTL(max_norm=0.0), r"max_norm=0\.0.*None or a number above 0"),
])  # fmt: skip
def test_impossible_settings_are_refused(create: Make, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        create()


# The Gramian is that of (1, 0) and (0, 2), so that nothing conflicts.
EXPECTED = {
    "equal": [1.0, 1.0],
    "fixed": [1.0, 1.0],
    "mgda": [0.8, 0.2],
    # w = (0.5, 0.5), and ‖(1, 2)‖ = c ‖(0.5, 1)‖.
    "mgda_floor": [1.0, 1.0],
    "imtl": [2 / 3, 1 / 3],
    "gradvac": [1.0, 1.0],
    "pcgrad": [1.0, 1.0],
    # The ball around (0.5, 1) has radius √1.25 / 2; g_w is all of (1, 0) as long as d_1 < 2 d_2.
    "cagrad": [0.5 + 1.25**0.5 / 2, 0.5],
    "aligned_mtl": [1.0, 0.5],
    # Equal gains √2 along both, cut to norm 1.
    "nash_mtl": [0.5**0.5, 0.5**1.5],
    "upgrad": [0.5, 0.5],
    "famo": [0.8, 0.2],  # by the losses 1 and 4
    # G w = w^(-1/2) for each.
    "torchjd": [1.0, 0.25 ** (2 / 3)],
    # (0, 2) turned towards (1, 0) until its cosine to it is 0.9.
    "ca_at": [2 * 0.9 / 0.19**0.5, 1.0],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGURATIONS.glob("*.yaml")))
def test_configurations(name: str) -> None:
    config = OmegaConf.create({"seed": 3, "data": {"target": "edema"}})
    config.weighting = OmegaConf.load(CONFIGURATIONS / f"{name}.yaml")
    if name == "torchjd":
        pytest.importorskip("torchjd.aggregation", reason="the extra torchjd is not installed")
    weighting = instantiate(config.weighting)
    names = ["edema/clean", "edema/adv"] if weighting.needs_pairs else ["age/clean+adv", "edema/clean+adv"]
    weighting.check(names)
    weights = weighting(torch.diag(torch.tensor([1.0, 4.0])), torch.tensor([1.0, 4.0]), names)
    assert weights.tolist() == pytest.approx(EXPECTED[name], rel=1e-6)
    assert weighting.adaptive == (name not in ("equal", "fixed", "famo"))
    assert getattr(weighting, "seed", 3) == 3
