"""Projections are exact, steps are steepest, starts are in the ball with the right distribution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import kstest
from torch import Tensor

from gat_lightning.attacks.norms import L1, L2, STARTS, Linf, Norm, as_norm
from gat_lightning.randomness import BatchGenerator, Shard

ALL = [Linf(), L2(), L1()]
ORDER = {"Linf": float("inf"), "L2": 2, "L1": 1}
DTYPES = [torch.float32, torch.float64]


def size(delta: Tensor, norm: Norm) -> Tensor:
    return torch.linalg.vector_norm(delta.double().flatten(1), ORDER[norm.name], dim=1)


@st.composite
def perturbations(draw: st.DrawFn) -> Tensor:
    """Batches of dense, sparse, tied, zero, tiny and huge perturbations, float64."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    delta = torch.randn(shape, generator=generator, dtype=torch.float64)
    kind = draw(st.sampled_from(["dense", "sparse", "tied", "zero"]))
    if kind == "sparse":
        delta *= torch.rand(shape, generator=generator) < 0.2
    elif kind == "tied":
        delta = delta.sign()
    elif kind == "zero":
        delta[0] = 0
    return delta * draw(st.sampled_from([1e-6, 1e-2, 1.0, 1e3]))


many = settings(deadline=None, max_examples=40, derandomize=True)

RADII = st.sampled_from([0.0, 1e-4, 8 / 255, 0.5, 3.0, 100.0])


def nearest_in_l1_ball(point: Tensor, eps: float) -> Tensor:
    """Reference for one sample: the soft threshold found by root search."""
    if point.abs().sum() <= eps:
        return point

    def surplus(threshold: float) -> float:
        return float((point.abs() - threshold).clamp(min=0).sum()) - eps

    threshold = brentq(surplus, 0, float(point.abs().max()), xtol=1e-300, rtol=1e-15)
    return point.sign() * (point.abs() - threshold).clamp(min=0)


@pytest.mark.parametrize("norm", ALL, ids=lambda norm: norm.name)
@many
@given(delta=perturbations(), eps=RADII, dtype=st.sampled_from(DTYPES))
def test_projection_is_in_the_ball_and_leaves_what_is_inside(
    norm: Norm, delta: Tensor, eps: float, dtype: torch.dtype
) -> None:
    delta = delta.to(dtype)
    before = delta.clone()
    projected = norm.project(delta, eps)
    assert projected.dtype == dtype
    assert projected.shape == delta.shape
    assert torch.equal(delta, before)
    assert (size(projected, norm) <= eps * (1 + 1e-5)).all()
    inside = size(delta, norm) <= eps * (1 - 1e-6)
    assert torch.equal(projected[inside], delta[inside])
    torch.testing.assert_close(norm.project(projected, eps), projected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", ALL, ids=lambda norm: norm.name)
@many
@given(delta=perturbations(), eps=RADII, seed=st.integers(0, 2**32))
def test_no_point_of_the_ball_is_nearer_than_the_projection(norm: Norm, delta: Tensor, eps: float, seed: int) -> None:
    """The optimality condition of a projection on a convex set: <delta - p, q - p> <= 0 for every q of the set."""
    projected = norm.project(delta, eps)
    others = torch.randn(20, *delta.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    corner = torch.zeros_like(delta).flatten(1)
    corner[torch.arange(len(delta)), delta.flatten(1).abs().argmax(1)] = 1
    for other in [*others, *(0.01 * others), corner.view_as(delta) * delta.sign(), delta, delta.sign()]:
        q = norm.project(other, eps)
        product = ((delta - projected) * (q - projected)).flatten(1).sum(1)
        scale = delta.flatten(1).norm(dim=1) * (size(q, L2()) + size(projected, L2()))
        assert (product <= 1e-9 * scale).all()


@many
@given(delta=perturbations(), eps=RADII)
def test_l1_projection_equals_a_root_search(delta: Tensor, eps: float) -> None:
    expected = torch.stack([nearest_in_l1_ball(sample, eps) for sample in delta])
    torch.testing.assert_close(L1().project(delta, eps), expected, rtol=1e-9, atol=1e-12 * float(delta.abs().max()))


@many
@given(delta=perturbations(), eps=RADII)
def test_l2_projection_is_the_scaled_point(delta: Tensor, eps: float) -> None:
    length = delta.flatten(1).norm(dim=1).clamp(min=1e-300)[:, None, None, None]
    torch.testing.assert_close(L2().project(delta, eps), delta * (eps / length).clamp(max=1))


@pytest.mark.parametrize("norm", ALL, ids=lambda norm: norm.name)
def test_projection_of_large_images_is_accurate_in_float32(norm: Norm) -> None:
    delta = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    for eps in (0.01, 5.0):
        projected = norm.project(delta, eps)
        assert (size(projected, norm) <= eps * (1 + 1e-5)).all()
        torch.testing.assert_close(projected, norm.project(delta.double(), eps).float(), rtol=1e-5, atol=1e-7)


@many
@given(gradient=perturbations(), exponent=st.sampled_from([-30, -10, 0, 30]))
def test_l2_step_is_the_unit_gradient_at_any_scale(gradient: Tensor, exponent: int) -> None:
    gradient = gradient.to(torch.float32)
    step = L2().steepest(gradient * 10.0**exponent, torch.full_like(gradient, 0.5))
    expected = gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None, None]
    torch.testing.assert_close(step, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", [Linf(), L2(), L1(top_fraction=1e-9)], ids=lambda norm: norm.name)
@many
@given(gradient=perturbations())
def test_no_step_of_norm_one_grows_a_linear_loss_faster(norm: Norm, gradient: Tensor) -> None:
    """Its growth is the dual norm of the gradient; for L1 with one pixel (and its ties) too."""
    step = norm.steepest(gradient, torch.full_like(gradient, 0.5))
    dual = {"Linf": 1, "L2": 2, "L1": float("inf")}[norm.name]
    growth = (gradient * step).flatten(1).sum(1)
    torch.testing.assert_close(growth, torch.linalg.vector_norm(gradient.flatten(1), dual, dim=1))
    moving = gradient.flatten(1).abs().amax(1) > 0
    torch.testing.assert_close(size(step, norm), moving.double())


@pytest.mark.parametrize("norm", ALL, ids=lambda norm: norm.name)
def test_zero_gradient_gives_zero_step(norm: Norm) -> None:
    gradient = torch.zeros(2, 3, 4, 4)
    gradient[1] = 1
    step = norm.steepest(gradient, torch.full_like(gradient, 0.5))
    assert (step[0] == 0).all()
    assert (step[1] != 0).any()


def test_l1_step_shares_the_top_pixels_that_can_move() -> None:
    gradient = torch.tensor([9.0, -8.0, 7.0, -6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5]).view(1, 1, 2, 5)
    images = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]).view(1, 1, 2, 5)
    step = L1(top_fraction=0.3).steepest(gradient, images).flatten()
    assert step.tolist() == pytest.approx([0, 0, 1 / 3, -1 / 3, 1 / 3, 0, 0, 0, 0, 0])


def test_l1_step_is_zero_when_every_pixel_is_blocked() -> None:
    assert (L1().steepest(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)) == 0).all()


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.01])
def test_l1_refuses_a_fraction_outside_its_range(fraction: float) -> None:
    with pytest.raises(ValueError, match="top_fraction"):
        L1(top_fraction=fraction)


@pytest.mark.parametrize("norm", ALL, ids=lambda norm: norm.name)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("eps", [0.0, 1e-3, 0.3, 5.0])
def test_starts_are_in_the_ball_and_differ(norm: Norm, start: str, dtype: torch.dtype, eps: float) -> None:
    images = torch.zeros(50, 3, 6, 6, dtype=dtype)
    generator = BatchGenerator(Shard.whole(50), "starts")
    first, second = (norm.random(images, eps, start, generator) for _ in range(2))
    assert first.dtype == dtype
    assert first.shape == images.shape
    assert (size(first, norm) <= eps * (1 + 1e-5)).all()
    assert torch.equal(first, second) == (start == "none" or eps == 0)
    if start == "none":
        assert (first == 0).all()


@pytest.mark.parametrize("norm", ALL, ids=lambda norm: norm.name)
def test_uniform_starts_fill_the_volume_evenly(norm: Norm) -> None:
    """In n dimensions (norm / eps)^n of a uniform point is uniform, and each pixel is symmetric around 0."""
    start = norm.uniform(torch.zeros(4000, 1, 2, 2), 2.0, BatchGenerator(Shard.whole(4000), "volume"))
    assert kstest((size(start, norm) / 2) ** 4, "uniform").pvalue > 0.01
    assert kstest(start[:, 0, 0, 0], -start[:, 0, 1, 1]).pvalue > 0.01
    half = norm.project(start, 1.0)
    assert ((half == start).flatten(1).all(1).float().mean() - 1 / 16).abs() < 0.015


def test_uniform_l1_start_survives_the_extreme_draws() -> None:
    class Extreme(BatchGenerator):
        def uniform(self, shape, device="cpu"):
            return super().uniform(shape, device).round().mul(1 - 2**-24)

    start = L1().uniform(torch.zeros(20, 3, 4, 4), 1.0, Extreme(Shard.whole(20), "extreme"))
    assert start.isfinite().all()
    assert (size(start, L1()) <= 1 + 1e-5).all()


def test_gaussian_start_has_the_deviation_of_trades() -> None:
    images = torch.zeros(100, 3, 8, 8)
    for norm, eps in ((Linf(), 0.03), (L2(), 1.0), (L1(), 12.0)):
        start = norm.random(images, eps, "gaussian", BatchGenerator(Shard.whole(100), "gaussian"))
        assert float(start.std()) == pytest.approx(0.001, rel=0.02)


def test_names_give_norms() -> None:
    assert [as_norm(name) for name in ("Linf", "L2", "L1")] == ALL
    assert as_norm(L1(0.5)).top_fraction == 0.5
    with pytest.raises(ValueError, match=r"norm='linf'.*did you mean Linf"):
        as_norm("linf")
