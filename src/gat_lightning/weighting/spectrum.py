"""The part of a matrix of cosines that is not rounding."""

from __future__ import annotations

import numpy as np

from gat_lightning.weighting.min_norm import EPSILON, Array


def spectrum(cosines: Array) -> tuple[Array, Array]:
    """Positive eigenvalues of the cosines of K gradients, and their eigenvectors.

    An eigenvalue counts as 0 if it is within the rounding of a float64 Gramian, or below twice the size of the lowest
    negative one, which shows how coarsely the Gramian itself was rounded.

    Args:
        cosines: inner products of unit gradients, ``[K, K]``.

    Returns:
        Eigenvalues ``[R]``, ascending, R from 1 to K, and eigenvectors as columns, ``[K, R]``.
    """
    values, vectors = np.linalg.eigh(cosines)
    kept = values > max(4 * EPSILON * len(values) * values[-1], -2 * values[0])
    return values[kept], vectors[:, kept]
