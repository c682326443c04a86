"""UPGrad: projects each gradient onto the cone of directions without conflict, then takes the mean."""

from collections.abc import Sequence

import numpy as np

from gat_lightning.weighting.directional import DirectionalWeighting, project_on_dual_cone
from gat_lightning.weighting.min_norm import Array


class UPGrad(DirectionalWeighting):
    r"""UPGrad (Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024, eq. 5).

    .. math:: \frac{1}{K} \sum_i \pi(g_i), \qquad \pi(g) = \text{the nearest } x \text{ to } g
              \text{ with } x \cdot g_k \ge 0 \text{ for all } k

    The step is a *mean*, as in the paper: without conflicts it is 1/K of that of ``equal``. It descends on all
    objectives at once, to the rounding of a float64 Gramian; there are no hyper-parameters.

    The rule is defined for every Gramian, and where several weights give the same step we return one of them. Opposite
    gradients annul each other. Gradients that are zero get weight 0 and do not count in K.

    Scaling: a common factor of all gradients leaves the weights as they are. A factor of one objective multiplies its
    own projection and leaves those of the others as they are, so that the step is linear in the scales.
    """

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        units = np.eye(len(norms))
        projected = units + project_on_dual_cone(cosines, units)
        return norms @ projected / norms / len(norms)
