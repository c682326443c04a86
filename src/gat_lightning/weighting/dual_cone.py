"""The nearest vector that conflicts with no gradient."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from gat_lightning.weighting.directional import spectrum
from gat_lightning.weighting.min_norm import Array

_RIDGE = 1e-9  # of a norm: far below what a float64 Gramian tells from 0
_STEPS_PER_OBJECTIVE = 100  # at most; 1 is usual


def project_on_dual_cone(cosines: Array, vectors: Array) -> Array:
    r"""What has to be added to vectors so that they conflict with no gradient.

    The dual cone of the unit gradients u_k is :math:`\{x : u_k \cdot x \ge 0 \text{ for all } k\}`. The nearest point
    of it to :math:`\sum_k v_k u_k` is :math:`\sum_k (v_k + z_k) u_k` with

    .. math:: z = \arg\min_{z \ge 0} \lVert \textstyle\sum_k (v_k + z_k)\, u_k \rVert

    (Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024, Proposition 1). This is a problem of
    non-negative least squares once the Gramian has a square root; directions in which it is zero to rounding are left
    out. A ridge of 1e-18 ‖z‖² keeps z short where opposite or dependent gradients leave it undetermined.

    Args:
        cosines: inner products of the unit gradients, ``[K, K]``.
        vectors: coefficients v of the vectors to project, ``[N, K]``.

    Returns:
        Coefficients z, ``[N, K]``, at least 0; if several are optimal, short ones.
    """
    count = len(cosines)
    values, bases = spectrum(cosines)
    root = np.sqrt(values)[:, None] * bases.T
    points = vectors @ root.T
    root = np.concatenate([root, _RIDGE * np.eye(count)])
    points = np.concatenate([points, np.zeros((len(points), count))], axis=1)
    return np.array([nnls(root, -point, maxiter=_STEPS_PER_OBJECTIVE * count)[0] for point in points])
