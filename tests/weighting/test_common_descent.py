"""MGDA and UPGrad against quadratic programs on the gradients themselves, and their descent on every objective."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from gat_lightning.weighting import MGDA, UPGrad, Weighting
from support.weighting_asserts import KINDS, Array, longest, random_jacobian

PER_KIND = 91  # 1,001 Gramians in all


def shortest_in_hull(jacobian: Array) -> Array:
    """The point of the convex hull nearest to 0.

    At the minimum of ‖z J‖² + (1 - Σ z)² over z >= 0, J (z J) >= 1 - Σ z with equality where z > 0: z is the solution
    but for its sum. The gradients are in units of the shortest that is not 0, unless others are lost to rounding then.
    """
    norms = np.linalg.norm(jacobian, axis=1)
    if not norms.all():
        return np.zeros(jacobian.shape[1])
    unit = max(norms.min(), 1e-8 * norms.max())
    table = np.vstack([jacobian.T / unit, np.ones(len(jacobian))])
    target = np.append(np.zeros(jacobian.shape[1]), 1.0)
    weights = nnls(table, target, maxiter=10_000)[0]
    return weights / weights.sum() @ jacobian


def mean_of_projections(jacobian: Array) -> Array:
    """Mean of the gradients' projections on their dual cone; those that are zero do not count."""
    norms = np.linalg.norm(jacobian, axis=1)
    jacobian, norms = jacobian[norms > 0], norms[norms > 0]
    units = jacobian / norms[:, None]
    projections = [unit + nnls(units.T, -unit, maxiter=10_000)[0] @ units for unit in units]
    return norms @ np.array(projections) / len(norms)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("weighting", "reference"), [(MGDA(), shortest_in_hull), (UPGrad(), mean_of_projections)])
def test_same_step_as_a_quadratic_program(weighting: Weighting, reference: Callable[[Array], Array], kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(PER_KIND):
        jacobian = random_jacobian(kind, rng)
        step = weighting(torch.from_numpy(jacobian @ jacobian.T)).numpy() @ jacobian
        expected = reference(jacobian)
        rounding = 1e-9 * longest(jacobian)
        assert np.linalg.norm(step - expected) <= 1e-6 * np.linalg.norm(expected) + rounding
        norms = np.linalg.norm(jacobian, axis=1)
        assert (jacobian @ step >= -norms * (1e-6 * np.linalg.norm(step) + rounding)).all()


def test_opposite_and_dependent_gradients_do_not_get_huge_weights() -> None:
    rng = np.random.default_rng(1)
    for kind in ("opposite", "duplicate", "rank 1", "integers"):
        for _ in range(50):
            jacobian = random_jacobian(kind, rng)
            weights = UPGrad()(torch.from_numpy(jacobian @ jacobian.T)).numpy()
            assert (np.abs(weights) * np.linalg.norm(jacobian, axis=1)).max() <= 1e4 * longest(jacobian)


def test_a_projection_by_hand() -> None:
    # (1, 0) and (-1, 1): the first loses its part along the second, 1/2 (1, -1), and the second its part along (1, 0).
    jacobian = np.array([[1.0, 0.0], [-1.0, 1.0]])
    step = UPGrad()(torch.from_numpy(jacobian @ jacobian.T)).numpy() @ jacobian
    assert step.tolist() == pytest.approx([0.25, 0.75], abs=1e-12)
