"""Each weighting against an independent computation on the gradients themselves: 500 random Jacobians."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, nnls

from gat_lightning.weighting import IMTL, AlignedMTL, CAGrad, GradVac, NashMTL, PCGrad, Weighting, min_norm
from support.weighting_asserts import KINDS, Array, random_jacobian

COUNT = 500


def jacobians(count: int = COUNT, most: int = 16, seed: int = 0) -> Iterator[Array]:
    """K = 2..most gradients in 20 to 60 dimensions, some in conflict, with norms of different magnitude."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        rows, size = int(rng.integers(2, most + 1)), int(rng.integers(20, 61))
        common = rng.uniform(0, 0.6) * rng.standard_normal(size)
        yield (rng.standard_normal((rows, size)) + common) * 10 ** rng.uniform(-1, 1, (rows, 1))


def step(weighting: Weighting, jacobian: Array, names: list[str] | None = None) -> Array:
    return weighting(torch.from_numpy(jacobian @ jacobian.T), None, names).numpy() @ jacobian


def assert_same_direction(found: Array, expected: Array) -> None:
    directions = [vector / np.linalg.norm(vector) for vector in (found, expected)]
    assert np.linalg.norm(directions[0] - directions[1]) <= 1e-5


def test_imtl_is_the_closed_form_of_its_paper() -> None:
    for jacobian in jacobians():
        units = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
        differences, turns = jacobian[0] - jacobian[1:], units[0] - units[1:]
        rest = jacobian[0] @ turns.T @ np.linalg.inv(differences @ turns.T)
        weights = np.append(1 - rest.sum(), rest)
        assert_same_direction(step(IMTL(), jacobian), weights @ jacobian)
        assert IMTL()(torch.from_numpy(jacobian @ jacobian.T)).tolist() == pytest.approx(weights.tolist(), rel=1e-6)


def test_imtl_makes_equal_progress_for_all() -> None:
    for jacobian in jacobians(100, seed=1):
        projections = jacobian @ step(IMTL(), jacobian) / np.linalg.norm(jacobian, axis=1)
        assert projections.tolist() == pytest.approx([projections[0]] * len(projections), rel=1e-9)


def test_imtl_without_a_solution_takes_no_step() -> None:
    # u_1 + u_2 and u_3 + u_4 are opposite: no step is equally long along all of them but 0.
    jacobian = np.array([[2.0, 1.0, 0.0], [2.0, -1.0, 0.0], [-2.0, 0.0, 1.0], [-2.0, 0.0, -1.0]])
    assert np.linalg.norm(step(IMTL(), jacobian)) < 1e-12
    # (C^-1 1)_k / ‖g_k‖ adds up to 0.
    cosines = np.array([[1.0, 0.7, 0.7], [0.7, 1.0, 0.1], [0.7, 0.1, 1.0]])
    lengths = np.linalg.solve(cosines, np.ones(3))
    assert lengths[0] < 0 < lengths[1]
    norms = np.array([-lengths[0] / (lengths[1] + lengths[2]), 1.0, 1.0])
    assert IMTL()(torch.from_numpy(norms[:, None] * cosines * norms)).tolist() == [0.0, 0.0, 0.0]


def test_imtl_of_opposite_gradients_takes_the_nearest_step() -> None:
    jacobian = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert IMTL()(jacobian @ jacobian.T).tolist() == pytest.approx([0.0, 0.0, 1.0])


@pytest.mark.parametrize("ours", [IMTL(), AlignedMTL()])
def test_same_direction_as_torchjd(ours: Weighting) -> None:
    aggregation = pytest.importorskip("torchjd.aggregation", reason="the peer TorchJD is not installed")
    theirs = {IMTL: aggregation.IMTLG, AlignedMTL: aggregation.AlignedMTL}[type(ours)]()
    for jacobian in jacobians():
        assert_same_direction(step(ours, jacobian), theirs(torch.from_numpy(jacobian)).numpy())


def test_pcgrad_of_two_is_that_of_torchjd() -> None:
    # Of two objectives each meets the other alone, so that no order is drawn.
    aggregation = pytest.importorskip("torchjd.aggregation", reason="the peer TorchJD is not installed")
    for jacobian in jacobians(COUNT // 2, most=2):
        assert_same_direction(step(PCGrad(), jacobian), aggregation.PCGrad()(torch.from_numpy(jacobian)).numpy())


def test_gradvac_of_two_is_that_of_torchjd() -> None:
    aggregation = pytest.importorskip("torchjd.aggregation", reason="the peer TorchJD is not installed")
    for beta in (0.01, 0.5):
        ours, theirs = GradVac(beta), aggregation.GradVac(beta, eps=0.0)
        for jacobian in jacobians(COUNT // 4, most=2):
            assert_same_direction(step(ours, jacobian), theirs(torch.from_numpy(jacobian)).numpy())


def test_pcgrad_is_the_projection_of_its_paper() -> None:
    ours, twin = PCGrad(seed=5), PCGrad(seed=5)
    for jacobian in jacobians(most=8):
        names = [f"task{index}" for index in range(len(jacobian))]
        total = np.zeros(jacobian.shape[1])
        for row, order in enumerate(twin.draw_orders(names)):
            projected = jacobian[row].copy()
            for other in order:
                product = projected @ jacobian[other]
                if product < 0:
                    projected -= product / (jacobian[other] @ jacobian[other]) * jacobian[other]
            total += projected
        assert_same_direction(step(ours, jacobian, names), total)


@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_gradvac_is_the_vaccine_of_its_paper(beta: float) -> None:
    ours, twin = GradVac(beta, seed=5), GradVac(beta, seed=5)
    targets = np.zeros((6, 6))
    for jacobian in jacobians(most=6):
        names = [f"task{index}" for index in range(len(jacobian))]
        total = np.zeros(jacobian.shape[1])
        for row, order in enumerate(twin.draw_orders(names)):
            turned = jacobian[row].copy()
            for other in order:
                met, target = jacobian[other], targets[row, other]
                cosine = turned @ met / np.linalg.norm(turned) / np.linalg.norm(met)
                targets[row, other] = (1 - beta) * target + beta * cosine
                if cosine < target:
                    sine, target_sine = np.sqrt(1 - cosine**2), np.sqrt(1 - target**2)
                    factor = np.linalg.norm(turned) * (target * sine - cosine * target_sine)
                    turned += factor / (np.linalg.norm(met) * target_sine) * met
            total += turned
        assert_same_direction(step(ours, jacobian, names), total)


def test_every_order_comes_up() -> None:
    pcgrad, names = PCGrad(), ["a", "b", "c"]
    orders = [tuple(map(tuple, pcgrad.draw_orders(names).tolist())) for _ in range(300)]
    assert len(set(orders)) == 8
    assert all(orders.count(order) > 15 for order in set(orders))


def nearest_with_descent(jacobian: Array, mean: Array, descent: float) -> Array:
    """The d nearest to the mean with g_k . d >= descent: least distance programming (Lawson and Hanson, chapter 23)."""
    bounds = descent - jacobian @ mean
    table = np.vstack([jacobian.T, bounds])
    target = np.append(np.zeros(len(mean)), 1.0)
    residual = table @ nnls(table, target, maxiter=10_000)[0] - target
    return mean - residual[:-1] / residual[-1]


@pytest.mark.parametrize("c", [0.2, 0.5, 0.9, 3.0])
def test_cagrad_is_the_best_worst_case_in_the_ball(c: float) -> None:
    for jacobian in jacobians(COUNT // 4, seed=int(10 * c)):
        mean = jacobian.mean(axis=0)
        radius = c * np.linalg.norm(mean)
        products, norms = jacobian @ mean, np.linalg.norm(jacobian, axis=1)

        def outside(descent: float, jacobian: Array = jacobian, mean: Array = mean, radius: float = radius) -> float:
            return float(np.linalg.norm(nearest_with_descent(jacobian, mean, descent) - mean) - radius)

        # Gradients that are linearly independent can all descend by any amount.
        bound = (products + radius * norms).min()
        most = brentq(outside, products.min(), bound + 1e-9 * (bound - products.min()), xtol=1e-15, rtol=1e-13)
        assert_same_direction(step(CAGrad(c), jacobian), nearest_with_descent(jacobian, mean, most))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [0.5, 2.0])
def test_cagrad_is_optimal_for_awkward_gradients(c: float, kind: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(25):
        jacobian = random_jacobian(kind, rng)
        jacobian = jacobian[np.linalg.norm(jacobian, axis=1) > 0]
        weights = CAGrad(c)(torch.from_numpy(jacobian @ jacobian.T)).numpy()
        mean, found = jacobian.mean(axis=0), weights @ jacobian
        radius = c * np.linalg.norm(mean)
        assert np.linalg.norm(found - mean) <= radius * (1 + 1e-7)
        # Every point x of the hull bounds the worst case by x . g_0 + radius ‖x‖ from above.
        pull = weights - 1 / len(jacobian)
        assert (pull >= -1e-12).all()
        points = [min_norm(jacobian @ jacobian.T).numpy() @ jacobian]
        if pull.sum() > 0:
            points.append(pull / pull.sum() @ jacobian)
        bound = min(point @ mean + radius * np.linalg.norm(point) for point in points)
        scale = np.linalg.norm(jacobian, axis=1).max() * (np.linalg.norm(mean) + radius)
        assert (jacobian @ found).min() >= bound - 1e-7 * scale


def test_cagrad_lies_between_the_mean_and_mgda() -> None:
    for jacobian in jacobians(50, seed=3):
        assert_same_direction(step(CAGrad(0.0), jacobian), jacobian.mean(axis=0))
        assert_same_direction(step(CAGrad(1e7), jacobian), min_norm(jacobian @ jacobian.T).numpy() @ jacobian)


def test_cagrad_at_pareto_stationarity_conflicts_with_none() -> None:
    # 0 lies between the first two; the mean conflicts with the first, and d is what is left of it.
    jacobian = np.array([[-1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert step(CAGrad(1.5), jacobian).tolist() == pytest.approx([0.0, 1 / 3], abs=1e-9)
    # Where the ball does not reach so far, the worst case is as good as the ball allows.
    found = step(CAGrad(0.5), jacobian)
    assert np.linalg.norm(found - jacobian.mean(axis=0)) == pytest.approx(0.5 * np.linalg.norm([1 / 3, 1 / 3]))
    assert found.tolist() == pytest.approx([1 / 3 - 2**0.5 / 6, 1 / 3], abs=1e-9)


def test_cagrad_of_gradients_that_add_up_to_zero_takes_no_step() -> None:
    jacobian = np.array([[1.0, 0.0], [1.0, 1.0], [-2.0, -1.0]])
    assert CAGrad()(torch.from_numpy(jacobian @ jacobian.T)).tolist() == pytest.approx([1 / 3] * 3)


def test_aligned_mtl_makes_all_singular_values_the_smallest() -> None:
    for jacobian in jacobians():
        left, singular, right = np.linalg.svd(jacobian, full_matrices=False)
        assert_same_direction(step(AlignedMTL(), jacobian), np.ones(len(jacobian)) @ left @ right)
        length = np.linalg.norm(step(AlignedMTL(), jacobian))
        assert length == pytest.approx(singular[-1] * np.sqrt(len(jacobian)), rel=1e-9)


def test_aligned_mtl_of_very_different_scales() -> None:
    # Aligning is exact for orthogonal gradients whatever their norms.
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.standard_normal((30, 6)))[0].T
    norms = 10 ** rng.uniform(-15, 15, 6)
    weights = AlignedMTL()(torch.from_numpy(np.diag(norms**2)))
    assert weights.tolist() == pytest.approx((norms.min() / norms).tolist(), rel=1e-12)
    jacobian = norms[:, None] * (basis + 0.3 * basis[::-1])
    found = AlignedMTL()(torch.from_numpy(jacobian @ jacobian.T)).numpy() @ jacobian
    assert np.linalg.norm(found) == pytest.approx(np.sqrt(6) * norms.min(), rel=0.2)


def test_aligned_mtl_of_dependent_gradients() -> None:
    # A gradient that stands there twice: rank 2, with the singular values √2 and 1.
    jacobian = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert step(AlignedMTL(), jacobian).tolist() == pytest.approx([2**0.5, 1.0])


def bargain(units: Array) -> Array:
    """The a > 0 with a_k u_k . Σ a_j u_j = 1: one a_k after another solves its own quadratic equation."""
    found, combined, change = np.zeros(len(units)), np.zeros(units.shape[1]), np.inf
    while change > 1e-10:
        change = 0.0
        for index, unit in enumerate(units):
            others = unit @ combined - found[index]
            value = 0.5 * (np.sqrt(others**2 + 4) - others)
            combined += (value - found[index]) * unit
            change = max(change, abs(value - found[index]))
            found[index] = value
    return found


def test_nash_mtl_solves_its_equation() -> None:
    for jacobian in jacobians(most=8):
        norms = np.linalg.norm(jacobian, axis=1)
        expected = bargain(jacobian / norms[:, None]) / norms
        assert_same_direction(step(NashMTL(), jacobian), expected @ jacobian)
        weights = NashMTL(max_norm=None)(torch.from_numpy(jacobian @ jacobian.T)).numpy()
        gains = weights * (jacobian @ (weights @ jacobian))
        assert gains.tolist() == pytest.approx([np.linalg.norm(jacobian @ jacobian.T)] * len(norms), rel=1e-8)


def test_the_step_of_nash_mtl_is_cut_to_its_largest_norm() -> None:
    for jacobian in jacobians(50, seed=5):
        free = step(NashMTL(max_norm=None), jacobian)
        assert np.linalg.norm(step(NashMTL(), jacobian)) == pytest.approx(min(1.0, np.linalg.norm(free)), rel=1e-6)
        short = step(NashMTL(), 1e-4 * jacobian)
        assert short.tolist() == pytest.approx((1e-4 * free).tolist(), rel=1e-6, abs=1e-12)
