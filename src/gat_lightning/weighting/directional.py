"""Base class of weightings that depend on the gradients' norms and cosines, and the spectrum of the cosines."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls
from torch import Tensor, from_numpy

from gat_lightning.weighting.base import Weighting, names_or_positions
from gat_lightning.weighting.min_norm import EPSILON, NEGLIGIBLE_NORM, Array, square_matrix

_RIDGE = 1e-9  # of a norm: far below what a float64 Gramian tells from 0
_STEPS_PER_OBJECTIVE = 100  # at most; 1 is usual


class DirectionalWeighting(Weighting):
    """A weighting whose rule is written for unit gradients u_k = g_k / ‖g_k‖.

    So it is as exact for gradients of norm 1e-30 or 1e+15, and for both in one Gramian, as for those of norm 1. An
    objective whose gradient is zero has no direction: it gets weight 0, and the others get what they would get without
    it. If all gradients are zero, so are the weights.
    """

    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """See :meth:`Weighting.__call__`; ``losses`` do not matter.

        Raises:
            ValueError: the Gramian is not a square matrix.
            NonFiniteError: it has a NaN or an infinity.
        """
        matrix = square_matrix(gramian)
        weights = np.zeros(len(matrix))
        norms = np.sqrt(np.maximum(matrix.diagonal(), 0.0))
        present = np.flatnonzero(norms > NEGLIGIBLE_NORM * norms.max())
        if len(present):
            norms = norms[present]
            cosines = matrix[present[:, None], present] / norms[:, None] / norms
            cosines = np.clip(0.5 * (cosines + cosines.T), -1.0, 1.0)
            np.fill_diagonal(cosines, 1.0)
            labels = names_or_positions(names, len(matrix))
            weights[present] = self.weigh(norms, cosines, [labels[index] for index in present])
        return from_numpy(weights)

    @abstractmethod
    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """Weights ``[K]`` of the gradients themselves.

        Args:
            norms: lengths ‖g_k‖, ``[K]``, all positive; their ratios are at most 1e+100.
            cosines: inner products u_j . u_k, ``[K, K]``, symmetric, with 1 on the diagonal; positive semi-definite but
                for rounding.
            names: names of the objectives, ``[K]``.
        """


def spectrum(cosines: Array) -> tuple[Array, Array]:
    """Positive eigenvalues of the cosines of K gradients, and their eigenvectors.

    Only numerically significant eigenpairs are kept. An eigenvalue is insignificant if it is within the rounding error
    of a float64 Gramian, or below twice the magnitude of the lowest negative one, which reveals the Gramian's own
    rounding.

    Args:
        cosines: inner products of unit gradients, ``[K, K]``.

    Returns:
        Eigenvalues ``[R]``, ascending, R from 1 to K, and eigenvectors as columns, ``[K, R]``.
    """
    values, vectors = np.linalg.eigh(cosines)
    kept = values > max(4 * EPSILON * len(values) * values[-1], -2 * values[0])
    return values[kept], vectors[:, kept]


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
