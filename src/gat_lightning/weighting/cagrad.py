"""CAGrad: maximises the smallest improvement of any objective, within a ball around the mean gradient."""

import math
from collections.abc import Sequence

import numpy as np

from gat_lightning.validate import check_real
from gat_lightning.weighting.directional import DirectionalWeighting, project_on_dual_cone
from gat_lightning.weighting.min_norm import EPSILON, Array, Indices, min_norm

_PRECISION = 1e-13
_SINGULAR = 1e6  # weights of a step along unit gradients
_STEPS = 100  # at most; 2 or 3 are usual


class CAGrad(DirectionalWeighting):
    r"""CAGrad (Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021, Algorithm 1).

    With the mean g_0 of the gradients the step is

    .. math:: d = \arg\max_d \min_k g_k \cdot d \ \text{over}\ \lVert d - g_0 \rVert \le c \lVert g_0 \rVert,
              \qquad\text{that is}\qquad d = g_0 + c \lVert g_0 \rVert \frac{g_w}{\lVert g_w \rVert}

    where w on the simplex minimises g_w . g_0 + c ‖g_0‖ ‖g_w‖. With c = 0 it is the mean gradient, and with large c its
    direction tends to that of MGDA. d is not divided by 1 + c², as the authors' code does to keep the learning rate of
    the mean gradient. A single objective has weight 1 + c.

    The minimum is found to the rounding of float64: w belongs to the point of the convex hull that is nearest to
    -s g_0, a problem of MGDA, for the one s at which ‖g_w‖ = s c ‖g_0‖; on the face of the hull to which that point
    belongs s is known in closed form.

    Where the rule is undefined: at Pareto stationarity g_w may be 0. Many d are optimal then, with min_k g_k . d = 0;
    we take the one nearest to g_0, its projection on the dual cone of the gradients (see ``UPGrad``), to which d tends.
    If g_0 = 0 all weights are 1/K, which is no step. Gradients that are zero get weight 0 and do not count in K.

    Scaling: a common factor of all gradients leaves the weights as they are. The rule is not invariant to factors of
    single objectives: g_0 is that of the long gradients, and the worst objective tends to be a short one.

    Args:
        c: radius of the ball in units of ‖g_0‖, at least 0. The paper takes 0.4 for NYU-v2 and Cityscapes and 0.5 in
            its ablations, and shows convergence to a minimum of the mean loss for c < 1.

    Raises:
        SettingError: ``c`` is negative or not finite.
    """

    def __init__(self, c: float = 0.5) -> None:
        self.c = check_real("c", c, 0, example=0.5)

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        count = len(norms)
        relative = norms / norms.max()
        gramian = relative[:, None] * cosines * relative
        mean = np.full(count, 1.0 / count)
        square = float(gramian.mean())
        if self.c == 0 or square <= EPSILON * count * relative.mean() ** 2:
            return mean
        radius = self.c * math.sqrt(square)
        least = float(np.linalg.eigvalsh(cosines)[0])
        rounding = max(4 * EPSILON * count, -2 * least)
        if least <= rounding * count:
            shortest = np.asarray(min_norm(gramian))
            if shortest @ gramian @ shortest <= rounding * (shortest @ relative) ** 2:
                added = project_on_dual_cone(cosines, relative[None] / count)[0]
                if added @ cosines @ added <= radius**2:
                    return mean + added / relative
        weights, distance = _worst_case(cosines, relative, radius, rounding)
        return mean + weights / distance


def _worst_case(cosines: Array, norms: Array, radius: float, rounding: float) -> tuple[Array, float]:
    """The minimum of g_w . g_0 + ρ ‖g_w‖ over the simplex: w ``[K]``, and s = ‖g_w‖ / ρ.

    Args:
        cosines: of the gradients, ``[K, K]``.
        norms: of the gradients, ``[K]``, the largest 1.
        radius: ρ, positive.
        rounding: of squared norms of combinations, in units of those of their summands.
    """
    gramian = norms[:, None] * cosines * norms
    products = gramian.mean(axis=1)
    square = float(products.mean())
    low, high = math.sqrt(rounding) * float(norms.min()) / radius, 1.0 / radius
    better = _guess(cosines, norms, radius)
    for _ in range(_STEPS):
        distance = better if low < better <= high else math.sqrt(low * high)
        shifted = gramian + distance * (products[:, None] + products) + distance**2 * square
        weights = np.asarray(min_norm(shifted))
        # ‖g_w‖ / s falls with s, and where ‖g_w‖ is 0 to rounding, s is too small to tell.
        found = weights @ gramian @ weights
        if found >= (radius * distance) ** 2 or found <= rounding * (weights @ norms) ** 2:
            low = distance
        else:
            high = distance
        better, _ = _face(cosines, norms, radius, np.flatnonzero(weights > 0))
        if abs(better - distance) <= _PRECISION * distance or high - low <= _PRECISION * high:
            break
    return weights, distance


def _guess(cosines: Array, norms: Array, radius: float) -> float:
    """The s of the whole affine hull, then of that of those with positive weights, until all of them are; or NaN."""
    members = np.arange(len(norms))
    while True:
        distance, weights = _face(cosines, norms, radius, members)
        positive = weights > 0
        if positive.all() or not positive.any():
            return distance
        members = members[positive]


def _face(cosines: Array, norms: Array, radius: float, members: Indices) -> tuple[float, Array]:
    """The s at which the point nearest to -s g_0, of the affine hull of the members, has norm s ρ; and its weights.

    That point is p - s q, where p is the point nearest to 0 and q the projection of g_0 on the directions of the hull;
    they are orthogonal, so that ‖p‖² + s² ‖q‖² = s² ρ². Where no s solves this, it is NaN.
    """
    size = len(members)
    own = norms[members]
    shortest = own.min()
    inside = cosines[members[:, None], members]
    # In terms of unit gradients, and p in units of the shortest gradient.
    system = np.zeros((size + 1, size + 1))
    system[:size, :size] = inside
    system[size, :size] = system[:size, size] = shortest / own
    right = np.zeros((size + 1, 2))
    right[size, 0] = 1.0
    right[:size, 1] = cosines[members] @ norms / len(norms)
    try:
        solution = np.linalg.solve(system, right)
    except np.linalg.LinAlgError:
        solution = np.full_like(right, math.inf)
    if not np.abs(solution).max() < _SINGULAR:
        solution = np.linalg.lstsq(system, right)[0]
    nearest, along = shortest * solution[:size, 0], solution[:size, 1]
    rest = radius**2 - along @ inside @ along
    distance = math.sqrt(max(nearest @ inside @ nearest, 0.0) / rest) if rest > 0 else math.nan
    return distance, (nearest - distance * along) / own
