"""PCGrad: removes from each gradient its components that conflict with other gradients."""

from collections.abc import Sequence

import numpy as np

from gat_lightning.weighting.min_norm import Array, Indices
from gat_lightning.weighting.surgery import GradientSurgery


class PCGrad(GradientSurgery):
    r"""PCGrad (Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, Algorithm 1).

    Each gradient g_i meets the others in random order. Where what has become of it, g_i', points against g_j, it loses
    its component along g_j; the step is the sum of the results:

    .. math:: g_i' \leftarrow g_i' - \frac{\min(g_i' \cdot g_j, 0)}{\lVert g_j \rVert^2}\, g_j,
              \qquad \textstyle\sum_i g_i'

    The rule has no hyper-parameters, and is undefined only for gradients that are zero: they get weight 0. Opposite
    gradients annul each other. As nothing is negative but inner products, no weight is below 1.

    Scaling: a common factor of all gradients leaves the weights as they are. A factor of one objective multiplies its
    own g_i' and leaves those of the others as they are, so that the step is linear in the scales.

    Args:
        seed: seed of the random orders.
    """

    purpose = "pcgrad"

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        return norms @ pcgrad(cosines, self.draw_orders(names)) / norms


def pcgrad(cosines: Array, orders: Indices) -> Array:
    """What becomes of each unit gradient, ``[K, K]``: row i has the coefficients of u_i' in terms of the u_k.

    Args:
        cosines: inner products of the unit gradients, ``[K, K]``.
        orders: the other objectives in the order in which objective i meets them, ``[K, K - 1]``.
    """
    coefficients, products = np.eye(len(cosines)), cosines.copy()
    rows = np.arange(len(cosines))
    for others in orders.T:
        conflict = np.minimum(products[rows, others], 0.0)
        coefficients[rows, others] -= conflict
        products -= conflict[:, None] * cosines[others]
    return coefficients
