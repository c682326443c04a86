"""The minimum-norm point of the convex hull of gradients, from their Gramian: the problem that MGDA solves."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, float64, from_numpy

from gat_lightning.errors import NonFiniteError

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

EPSILON = float(np.finfo(np.float64).eps)
NEGLIGIBLE_NORM = 1e-100  # of the largest: shorter gradients count as zero
SUM_SLACK = 1e-12  # of sums of floors such as 1/K + ... + 1/K
_STEPS_PER_OBJECTIVE = 20  # at most; 1 is usual


def min_norm(gramian: Tensor | Array, floor: Tensor | Array | None = None) -> Tensor:
    r"""Weights of the minimum-norm point of the convex hull of gradients, optionally with floors under the weights.

    .. math:: \min_w \lVert \textstyle\sum_k w_k g_k \rVert^2 = w^\top G w
              \quad\text{over}\quad w_k \ge m_k,\ \textstyle\sum_k w_k = 1

    With m = 0 this is the problem of MGDA (Désidéri 2012; Sener and Koltun 2018, eq. 3; Algorithm 3 of the GAT paper).
    Two gradients have a closed form (Sener and Koltun, Algorithm 1). More are solved by the active-set method of Wolfe
    ("Finding the nearest point in a polytope", 1976): as in Algorithm 3 one objective enters at a time, but the minimum
    over those that have entered is found exactly, so that it ends at the optimum after finitely many steps.

    At the optimum (G w)_k >= ν for all k, with equality where w_k > m_k; ν = w'Gw if m = 0. This holds to the rounding
    of a float64 Gramian, which cannot tell norms below 1e-8 max ‖g‖ from 0 where long gradients cancel. Gradients of
    norm 1e-15 and 1e+15 may stand in one matrix: each is weighed in units of its own norm.

    Args:
        gramian: inner products of the gradients, ``[K, K]``, positive semi-definite; only its symmetric part counts.
        floor: m, ``[K]``, at least 0, with a sum of at most 1; none by default.

    Returns:
        Weights ``[K]``, float64 on the CPU, at least m, with sum 1. Where several are optimal (duplicate gradients, 0
        in the hull), one of them. If all gradients are zero: 1/K each, as far as the floors allow.

    Raises:
        ValueError: the shapes do not fit, or the floors are negative or add up to more than 1.
        NonFiniteError: the Gramian has a NaN or an infinity.
    """
    matrix = square_matrix(gramian)
    count = len(matrix)
    if floor is None:
        bound, room = np.zeros(count), 1.0
    else:
        bound = _float64(floor)
        room = 1.0 - float(bound.sum())
        if bound.shape != (count,) or not (bound >= 0).all() or room < -SUM_SLACK:
            raise ValueError(
                f"Floors are {count} numbers of at least 0 that add up to at most 1, not {bound.tolist()}."
            )
    if room <= SUM_SLACK:
        return from_numpy(bound / bound.sum())
    if count == 1:
        return from_numpy(np.ones(1))
    longest = matrix.diagonal().max()
    if longest <= 0:
        matrix, longest = np.eye(count), 1.0
    matrix = matrix / longest
    matrix = 0.5 * (matrix + matrix.T)
    return from_numpy(_pair(matrix, bound) if count == 2 else _active_set(matrix, bound, room))


def square_matrix(gramian: Tensor | Array) -> Array:
    """The Gramian ``[K, K]`` as a float64 array.

    Raises:
        ValueError: it is not a square matrix.
        NonFiniteError: it has a NaN or an infinity.
    """
    matrix = _float64(gramian)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"A Gramian is a square matrix, not one of shape {list(matrix.shape)}.")
    if not np.isfinite(matrix).all():
        raise NonFiniteError("The Gramian of the objectives' gradients is not finite.")
    return matrix


def _float64(values: Tensor | Array) -> Array:
    if isinstance(values, Tensor):
        return values.detach().to("cpu", float64).numpy()
    return np.asarray(values, dtype=np.float64)


def _pair(gramian: Array, floor: Array) -> Array:
    """Closed form for two gradients: the point of a segment that is nearest to 0, then the floors.

    w_1 = (G_22 - G_12) / ‖g_1 - g_2‖² where that lies in [0, 1], else the shorter gradient alone.
    """
    first, second, product = float(gramian[0, 0]), float(gramian[1, 1]), float(gramian[0, 1])
    if product >= min(first, second):
        weights = (1.0, 0.0) if first <= second else (0.0, 1.0)
    else:
        distance = (first - product) + (second - product)
        weights = ((second - product) / distance, (first - product) / distance)
    if weights[0] < floor[0]:
        weights = (float(floor[0]), 1.0 - float(floor[0]))
    elif weights[1] < floor[1]:
        weights = (1.0 - float(floor[1]), float(floor[1]))
    return np.array(weights)


def _active_set(gramian: Array, floor: Array, room: float) -> Array:
    """Wolfe's method from a guess of the weights above their floors; from the shortest gradient where that fails.

    From one gradient on, those that have entered stay affinely independent, which a guess cannot promise.
    """
    problem = _Problem(gramian, floor, room)
    alone = np.zeros(len(floor))
    alone[gramian.diagonal().argmin()] = room
    if problem.violation(alone).max() == 0.0:
        return floor + alone
    guess, optimal = problem.descend(problem.guess())
    if optimal:
        return floor + guess
    excess, optimal = problem.descend(alone)
    return floor + (excess if optimal or problem.value(excess) <= problem.value(guess) else guess)


class _Problem:
    """The minimisation over ``excess = w - m >= 0``, whose sum is ``room``, in terms of the cosines of the gradients.

    With u_k = w_k ‖g_k‖ the combined gradient is Σ u_k g_k/‖g_k‖, and rounding is relative to Σ u_k.
    """

    def __init__(self, gramian: Array, floor: Array, room: float) -> None:
        norms = np.sqrt(np.maximum(gramian.diagonal(), 0.0))
        zero = norms <= NEGLIGIBLE_NORM * norms.max()
        if zero.any():
            norms[zero] = norms[~zero].min()
        cosines = gramian / norms[:, None] / norms
        np.fill_diagonal(cosines, 1.0)
        if zero.any():
            cosines[zero] = 0.0
            cosines[:, zero] = 0.0
        self.cosines, self.norms, self.floor, self.room = cosines, norms, floor, room
        self.slopes_at_floor = cosines @ (floor * norms)

    def value(self, excess: Array) -> float:
        """Squared norm of the combined gradient, w'Gw."""
        scaled = (self.floor + excess) * self.norms
        return float(scaled @ self.cosines @ scaled)

    def violation(self, excess: Array) -> Array:
        """(ν - (G w)_k) / ‖g_k‖, with ν the mean of (G w)_k over the excess; 0 where that is within rounding.

        At the optimum no entry is above 0.
        """
        above = excess * self.norms / self.room
        scaled = (self.floor + excess) * self.norms
        slopes = self.cosines @ scaled
        violation = above @ slopes / self.norms - slopes
        rounding = EPSILON * len(excess) * scaled.sum() * (1.0 + above.sum() / self.norms)
        violation[violation <= rounding] = 0.0
        return violation

    def guess(self) -> Array:
        """Minimum over all weights whatever their sign, then over those above their floors, until all of them are."""
        members = np.arange(len(self.floor))
        while not ((target := self.affine_minimum(members)) > 0).all():
            members = members[target > 0]
        excess = np.zeros(len(self.floor))
        excess[members] = target
        return excess

    def descend(self, excess: Array) -> tuple[Array, bool]:
        """Wolfe's major steps, each of which lowers the value, and whether they ended at an optimum."""
        value, violation = self.value(excess), self.violation(excess)
        candidates = np.where(excess > 0, 0.0, violation)
        for _ in range(_STEPS_PER_OBJECTIVE * len(excess)):
            entering = candidates.argmax()
            if candidates[entering] == 0.0:
                break
            members = excess > 0
            members[entering] = True
            trial = self.minimum_over(np.flatnonzero(members), excess)
            trial_value = self.value(trial)
            if trial_value < value:
                excess, value, violation = trial, trial_value, self.violation(trial)
                candidates = np.where(excess > 0, 0.0, violation)
            else:
                candidates[entering] = 0.0
        return excess, bool(violation.max() == 0.0)

    def minimum_over(self, members: Indices, excess: Array) -> Array:
        """Wolfe's minor steps: minimum over the members, less those that meet their floor on the way there."""
        current = excess[members]
        while len(members) > 1:
            target = self.affine_minimum(members)
            leaving = np.flatnonzero(target < 0)
            if not len(leaving):
                current = target
                break
            ratios = current[leaving] / (current[leaving] - target[leaving])
            first = ratios.argmin()
            current = np.maximum(current + ratios[first] * (target - current), 0.0)
            staying = np.arange(len(members)) != leaving[first]
            members, current = members[staying], current[staying]
        total = current.sum()
        result = np.zeros_like(excess)
        result[members] = current * (self.room / total) if total > 0 else self.room / len(members)
        return result

    def affine_minimum(self, members: Indices) -> Array:
        """Minimum over the members' excess with its sum kept, whatever the signs: one bordered linear system."""
        size = len(members)
        lengths = self.norms[members]
        shortest = lengths.argmin()
        system = np.empty((size + 1, size + 1))
        system[:size, :size] = self.cosines[members[:, None], members]
        system[size, :size] = system[:size, size] = lengths[shortest] / lengths
        system[size, size] = 0.0
        right = np.empty(size + 1)
        right[:size] = -self.slopes_at_floor[members]
        right[size] = lengths[shortest] * self.room
        try:
            solution = np.linalg.solve(system, right)
        except np.linalg.LinAlgError:
            solution = np.linalg.lstsq(system, right)[0]
        target = solution[:size] / lengths
        # The shortest gradient's weight is the one that rounding harms most, and it follows from the others.
        target[shortest] = 0.0
        target[shortest] = self.room - target.sum()
        return target
