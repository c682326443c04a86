"""Gradient Vaccine: rotates each gradient until its cosines to the others reach their running averages."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gat_lightning.validate import check_real
from gat_lightning.weighting.min_norm import EPSILON, Array, Indices
from gat_lightning.weighting.surgery import GradientSurgery

_MOST_SIMILAR = 1.0 - 1e-6


class GradVac(GradientSurgery):
    r"""Gradient Vaccine (Wang et al., ICLR 2021, Algorithm 1) on the gradients of the whole model.

    Each gradient g_i meets the others in random order. Where the cosine φ between what has become of it, g_i', and g_j
    is below its target, the running mean φ̂ of this cosine over the steps so far, g_i' is turned towards g_j until it
    has the target (eq. 3); after each meeting the target follows (eq. 4), and the step is the sum of the results:

    .. math:: g_i' \leftarrow g_i' + \frac{\lVert g_i' \rVert
              (\hat\varphi \sqrt{1 - \varphi^2} - \varphi \sqrt{1 - \hat\varphi^2})}
              {\lVert g_j \rVert \sqrt{1 - \hat\varphi^2}}\, g_j,
              \qquad \hat\varphi \leftarrow (1 - \beta) \hat\varphi + \beta \varphi

    Targets begin at 0, with which it is PCGrad. The paper keeps them per layer as well; a rule that follows from the
    Gramian has one per ordered pair of objectives.

    Where the rule is undefined: a target above 1 - 1e-6 (gradients that have always been parallel) is aimed at as
    1 - 1e-6, as at 1 the factor is infinite; a g_i' that opposite gradients have annulled meets nobody, and leaves its
    targets as they are; gradients that are zero get weight 0, likewise.

    Scaling: a common factor of all gradients leaves the weights as they are. A factor of one objective multiplies its
    own g_i' and leaves those of the others and all targets as they are, so that the step is linear in the scales.

    Args:
        beta: β, from 0 to 1. The paper has 0.01; 0.5 is the default of LibMTL, with which Table 13 of the GAT paper was
            made.
        seed: seed of the random orders.

    Raises:
        SettingError: ``beta`` is outside [0, 1].
    """

    purpose = "gradvac"

    def __init__(self, beta: float = 0.5, seed: int = 0) -> None:
        super().__init__(seed)
        self.beta = check_real("beta", beta, 0, 1)
        self._targets: dict[str, dict[str, float]] = {}

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        known = [self._targets.get(name, {}) for name in names]
        targets = np.array([[row.get(name, 0.0) for name in names] for row in known])
        coefficients = gradvac(cosines, targets, self.beta, self.draw_orders(names))
        for name, row in zip(names, targets.tolist(), strict=True):
            others = {other: target for other, target in zip(names, row, strict=True) if other != name}
            self._targets.setdefault(name, {}).update(others)
        return norms @ coefficients / norms

    def state(self) -> dict[str, Any]:
        """The number of calls so far, and the target of each ordered pair of objectives."""
        return {**super().state(), "targets": {name: dict(row) for name, row in self._targets.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Weighting.load_state`."""
        super().load_state(state)
        self._targets = {name: dict(row) for name, row in state.get("targets", {}).items()}


def gradvac(cosines: Array, targets: Array, beta: float, orders: Indices) -> Array:
    """What becomes of each unit gradient, ``[K, K]``: row i has the coefficients of u_i' in terms of the u_k.

    Args:
        cosines: inner products of the unit gradients, ``[K, K]``.
        targets: φ̂ of each ordered pair, ``[K, K]``, which are moved in place.
        beta: β, from 0 to 1.
        orders: the other objectives in the order in which objective i meets them, ``[K, K - 1]``.
    """
    count = len(cosines)
    coefficients, products = np.eye(count), cosines.copy()
    rows = np.arange(count)
    for others in orders.T:
        squares = (coefficients * products).sum(axis=1)
        alive = squares > 4 * EPSILON * count * np.abs(coefficients).sum(axis=1) ** 2
        lengths = np.sqrt(np.where(alive, squares, 1.0))
        similar = np.clip(products[rows, others] / lengths, -1.0, 1.0)
        wanted = targets[rows, others]
        targets[rows, others] = np.where(alive, (1.0 - beta) * wanted + beta * similar, wanted)
        aim = np.minimum(wanted, _MOST_SIMILAR)
        turn = aim * np.sqrt((1.0 - similar**2) / (1.0 - aim**2)) - similar
        added = np.where(alive & (similar < aim), lengths * turn, 0.0)
        coefficients[rows, others] += added
        products += added[:, None] * cosines[others]
    return coefficients
