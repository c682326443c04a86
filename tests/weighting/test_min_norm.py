from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gat_lightning.errors import NonFiniteError
from gat_lightning.weighting import min_norm
from support.weighting_asserts import (
    KINDS,
    Array,
    assert_on_simplex,
    assert_shortest,
    combined_norm,
    least_norm,
    least_norm_bound,
    longest,
    random_floor,
    random_jacobian,
)


def solve(jacobian: Array, floor: Array | None = None) -> Array:
    return min_norm(jacobian @ jacobian.T, floor).numpy()


def well_conditioned(count: int, rng: np.random.Generator) -> Array:
    """Gradients whose minimum-norm weights are unique."""
    return (rng.standard_normal((count, 60)) + 0.5 * rng.standard_normal(60)) * 10 ** rng.uniform(-0.5, 0.5, (count, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_no_weights_give_a_shorter_gradient(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        jacobian = random_jacobian(kind, rng)
        weights = solve(jacobian)
        assert_on_simplex(torch.from_numpy(weights), len(jacobian))
        assert_shortest(jacobian, weights)


@pytest.mark.parametrize("kind", KINDS)
def test_no_weights_above_the_floors_give_a_shorter_gradient(kind: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        jacobian = random_jacobian(kind, rng)
        floor = random_floor(len(jacobian), rng)
        weights = solve(jacobian, floor)
        assert_on_simplex(torch.from_numpy(weights), len(jacobian), floor)
        assert_shortest(jacobian, weights, floor)


@pytest.mark.parametrize("kind", KINDS)
def test_as_short_as_the_exact_minimum(kind: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(6):
        jacobian = random_jacobian(kind, rng)[:5]
        assert combined_norm(jacobian, solve(jacobian)) <= least_norm(jacobian) * (1 + 1e-6) + 1e-9 * longest(jacobian)


@pytest.mark.parametrize("kind", KINDS)
def test_optimality_conditions(kind: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        jacobian = random_jacobian(kind, rng)
        gramian = jacobian @ jacobian.T
        weights = solve(jacobian)
        norms = np.linalg.norm(jacobian, axis=1)
        slopes, least = gramian @ weights, weights @ gramian @ weights
        reach = 1e-12 * (weights @ norms)
        assert (slopes >= least - reach * (norms + weights @ norms)).all()
        assert (weights * (slopes - least) <= reach * (norms + weights @ norms)).all()


def test_long_gradients_that_cancel_beside_short_ones() -> None:
    # The worst case of a float64 Gramian, which rounds at 1e-16 of the squared norms.
    rng = np.random.default_rng(4)
    for _ in range(200):
        jacobian = random_jacobian("plain", rng) * 10 ** rng.uniform(-9, 1)
        jacobian[1:] *= 10 ** rng.uniform(-9, 1, (len(jacobian) - 1, 1))
        jacobian[-1] = -jacobian[-2]
        weights = solve(jacobian)
        bound = least_norm_bound(jacobian, weights)
        assert combined_norm(jacobian, weights) <= bound * (1 + 1e-6) + 1.5e-8 * longest(jacobian)


def test_rounding_of_single_precision_gradients_does_little_harm() -> None:
    rng = np.random.default_rng(5)
    for kind in KINDS:
        jacobian = random_jacobian(kind, rng)
        norms = np.linalg.norm(jacobian, axis=1)
        noise = 1e-7 * rng.uniform(-1, 1, (len(norms), len(norms))) * norms[:, None] * norms
        weights = min_norm(jacobian @ jacobian.T + noise)
        assert_on_simplex(weights, len(jacobian))
        excess = combined_norm(jacobian, weights.numpy()) - combined_norm(jacobian, solve(jacobian))
        assert excess <= 2e-3 * longest(jacobian)


def test_orthogonal_gradients_weigh_inversely_to_their_squared_norms() -> None:
    assert min_norm(np.diag([1.0, 4.0, 16.0])).tolist() == pytest.approx([16 / 21, 4 / 21, 1 / 21], rel=1e-14)


def test_an_example_in_rational_numbers() -> None:
    jacobian = np.array([[3.0, 1.0, 0.0, 1.0], [1.0, -2.0, 2.0, 0.0], [0.0, 1.0, -1.0, 3.0], [-1.0, 2.0, 1.0, 1.0]])
    expected = [13 / 159, 761 / 1908, 311 / 1908, 170 / 477]
    assert solve(jacobian).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("first", "second", "product", "expected"), [
    (1.0, 1.0, 0.0, (0.5, 0.5)),
    (1.0, 4.0, 0.0, (0.8, 0.2)),
    (1.0, 4.0, 1.5, (1.0, 0.0)),
    (4.0, 1.0, 1.5, (0.0, 1.0)),
    (1.0, 4.0, -2.0, (2 / 3, 1 / 3)),
    (1e-30, 1e30, -1.0, (1.0, 1e-30)),
    (0.0, 1.0, 0.0, (1.0, 0.0)),
])  # fmt: skip
def test_two_gradients(first: float, second: float, product: float, expected: tuple[float, float]) -> None:
    weights = min_norm(np.array([[first, product], [product, second]]))
    assert weights.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("floors", [None, (0.3, 0.0), (0.0, 0.6), (0.2, 0.7)])
def test_the_closed_form_agrees_with_the_general_solver(floors: tuple[float, float] | None) -> None:
    # A third gradient that repeats the first leaves the problem as it is.
    rng = np.random.default_rng(6)
    for _ in range(50):
        pair = well_conditioned(2, rng)[:, : rng.integers(1, 60)]
        three = solve(pair[[0, 1, 0]], None if floors is None else np.array([*floors, 0.0]))
        two = solve(pair, None if floors is None else np.array(floors))
        assert [three[0] + three[2], three[1]] == pytest.approx(two.tolist(), abs=1e-9)


def test_floors_are_the_problem_of_the_shifted_gradients() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        jacobian = well_conditioned(int(rng.integers(2, 17)), rng)
        floor = random_floor(len(jacobian), rng)
        room = 1 - floor.sum()
        shifted = solve(floor @ jacobian + room * jacobian)
        assert solve(jacobian, floor).tolist() == pytest.approx((floor + room * shifted).tolist(), abs=1e-9)


def test_floors_that_add_up_to_one_leave_no_choice() -> None:
    floor = np.array([0.2, 0.5, 0.3])
    assert solve(np.diag([1.0, 2.0, 3.0]), floor).tolist() == pytest.approx(floor.tolist(), abs=1e-15)
    assert solve(np.eye(3), np.full(3, 1 / 3)).tolist() == pytest.approx([1 / 3] * 3, abs=1e-15)


def test_permuting_the_gradients_permutes_the_weights() -> None:
    rng = np.random.default_rng(8)
    for count in range(2, 17):
        jacobian, order = well_conditioned(count, rng), rng.permutation(count)
        assert solve(jacobian[order]).tolist() == pytest.approx(solve(jacobian)[order].tolist(), abs=1e-10)


@pytest.mark.parametrize("scale", [1e-30, 1e-5, 3.0, 1e15])
def test_scaling_all_gradients_changes_nothing(scale: float) -> None:
    rng = np.random.default_rng(9)
    for count in range(2, 17):
        jacobian = well_conditioned(count, rng)
        assert solve(scale * jacobian).tolist() == pytest.approx(solve(jacobian).tolist(), abs=1e-10)


def test_gradients_that_are_all_zero() -> None:
    assert min_norm(np.zeros((4, 4))).tolist() == pytest.approx([0.25] * 4)
    assert min_norm(np.zeros((2, 2))).tolist() == [0.5, 0.5]
    floor = np.array([0.5, 0.3, 0.0, 0.0])
    assert min_norm(np.zeros((4, 4)), floor).tolist() == pytest.approx([0.5, 0.3, 0.1, 0.1])


def test_one_zero_gradient_takes_what_the_floors_leave() -> None:
    gramian = np.diag([1.0, 0.0, 2.0])
    assert min_norm(gramian).tolist() == [0.0, 1.0, 0.0]
    assert min_norm(gramian, np.array([0.1, 0.0, 0.2])).tolist() == pytest.approx([0.1, 0.7, 0.2])


def test_one_gradient() -> None:
    assert min_norm(torch.tensor([[7.0]])).tolist() == [1.0]
    assert min_norm(torch.tensor([[0.0]]), torch.tensor([0.5])).tolist() == [1.0]


def test_only_the_symmetric_part_counts_and_nothing_is_changed() -> None:
    gramian = torch.tensor([[2.0, 0.0, 0.5], [1.0, 3.0, 0.0], [0.5, 2.0, 4.0]], requires_grad=True)
    before = gramian.detach().clone()
    weights = min_norm(gramian)
    assert weights.tolist() == min_norm((before + before.T) / 2).tolist()
    assert not weights.requires_grad
    assert torch.equal(gramian.detach(), before)


@settings(max_examples=300)
@given(
    exponents=st.lists(st.floats(-170, 154), min_size=1, max_size=7),
    size=st.integers(1, 8),
    seed=st.integers(0, 1000),
    floored=st.booleans(),
)
def test_any_finite_gramian_gives_finite_weights(exponents: list[float], size: int, seed: int, floored: bool) -> None:
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((len(exponents), size))
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    jacobian = directions * 10 ** np.array(exponents)[:, None]
    floor = random_floor(len(jacobian), rng) if floored else None
    assert_on_simplex(torch.from_numpy(solve(jacobian, floor)), len(jacobian), floor)


@pytest.mark.parametrize("gramian", [np.zeros((0, 0)), np.ones((2, 3)), np.ones(3)])
def test_a_gramian_must_be_square(gramian: Array) -> None:
    with pytest.raises(ValueError, match="square matrix"):
        min_norm(gramian)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gramian_must_be_finite(bad: float) -> None:
    with pytest.raises(NonFiniteError, match="not finite"):
        min_norm(np.array([[1.0, bad, 0.0], [bad, 1.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("floor", [(0.5,), (-0.1, 0.2), (0.6, 0.6), (np.nan, 0.0)])
def test_floors_must_fit(floor: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="2 numbers of at least 0"):
        min_norm(np.eye(2), np.array(floor))
