"""Aligned-MTL: the sum of the gradients after making them orthogonal and of equal length."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg.lapack import dgejsv

from gat_lightning.weighting.directional import DirectionalWeighting, spectrum
from gat_lightning.weighting.min_norm import Array


class AlignedMTL(DirectionalWeighting):
    r"""Aligned-MTL (Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023, Alg. 1).

    The matrix of the gradients is replaced by the nearest one whose singular values all equal its smallest one:

    .. math:: w = B \mathbf{1}, \qquad B = \sigma_R \sum_{r=1}^{R} \frac{1}{\sigma_r} v_r v_r^\top

    with the eigenvectors v_r and the eigenvalues σ_r² > 0 of the Gramian, in descending order, and its rank R. Every
    objective has importance 1 in the sum, as in the authors' code; there are no other hyper-parameters. Weights may be
    negative, and none is above √K. Orthogonal gradients of equal length keep weight 1.

    Where gradients depend on each other linearly, the rank is below K as published; it is told from the cosines, so
    that a gradient is not left out for being short. Of opposite gradients something of the longer one is left.

    Scaling: a common factor of all gradients leaves the weights as they are. All of the step has the scale of the
    smallest singular value: one gradient that is 1000 times as short makes the step 1000 times as short.
    """

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        values, vectors = spectrum(cosines)
        root = (norms / norms.max())[:, None] * vectors * np.sqrt(values)
        # Jacobi's method: relatively exact for singular values of every size, where others are so for the largest.
        singular, bases, *_ = dgejsv(root, joba=2, jobu=0, jobv=3, jobr=0)
        return bases @ (bases.sum(axis=0) * (singular[-1] / singular))
