"""Nash-MTL: the Nash bargaining solution between the objectives."""

import math
from collections.abc import Sequence

import numpy as np

from gat_lightning.validate import check_real
from gat_lightning.weighting.directional import DirectionalWeighting
from gat_lightning.weighting.min_norm import Array

_RIDGE = 1e-12  # of the squared norms: above the rounding of a float64 Gramian
_FULL_STEP = 1.0 / 16.0
_DECREMENT = 1e-24
_STEPS = 100  # at most; 5 to 8 are usual


class NashMTL(DirectionalWeighting):
    r"""Nash-MTL (Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, Claim 3.1 and Algorithm 1).

    .. math:: G w = 1 / w \ \text{(elementwise)}, \quad w > 0
              \qquad\Longleftrightarrow\qquad \min_{w > 0} \tfrac12 w^\top G w - \textstyle\sum_k \log w_k

    The authors approximate it by a sequence of convex programs; it is a convex problem itself, which we solve by
    Newton's method to the rounding of float64, from the same start in every call. So there is no state, and nothing
    to gain from updating the weights only every few steps (their ``update_weights_every``).

    As in the authors' code G is divided by its Frobenius norm first, and the combined gradient is cut to ``max_norm``
    afterwards. (With G itself its norm would be √K however small the gradients are.)

    Where the rule is undefined: if a convex combination of gradients is zero (Pareto stationarity; opposite gradients)
    the problem has no minimum. We add 1e-12 ‖g_k‖² to G_kk, or as much as makes a Gramian of rounded gradients positive
    semi-definite: the gradients that annul each other get large weights, but the step has next to nothing of them.
    Gradients that are zero get weight 0.

    Scaling: factors of single objectives change no direction, only lengths: the step is proportional to √‖G‖ until
    ``max_norm`` cuts it. A common factor of all gradients leaves the weights as they are until then.

    Args:
        max_norm: largest norm of the combined gradient, 1 as published; None for no limit.

    Raises:
        SettingError: ``max_norm`` is not positive.
    """

    def __init__(self, max_norm: float | None = 1.0) -> None:
        self.max_norm = check_real("max_norm", max_norm, 0, closed="neither", also=(None,))

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        bargain = nash(cosines)
        longest = float(norms.max())
        relative = norms / longest
        size = math.sqrt(float(np.linalg.norm(relative[:, None] * cosines * relative)))
        length = longest * size * math.sqrt(len(norms))
        weights = size * bargain / relative
        if self.max_norm is not None and length > self.max_norm:
            weights *= self.max_norm / length
        return weights


def nash(cosines: Array) -> Array:
    """The solution a > 0 of C a = 1 / a, ``[K]``.

    Newton steps on ½ a'Ca - Σ log a, each followed by the best multiple of a, for which a'Ca = K. The function is
    self-concordant: damped steps always lower it, and full steps converge quadratically once their decrement is below
    1/16. They end when rounding stops them.

    Args:
        cosines: inner products of unit gradients, C, ``[K, K]``.
    """
    count = len(cosines)
    ridge = max(_RIDGE, -2.0 * float(np.linalg.eigvalsh(cosines)[0]))
    matrix = cosines + ridge * np.eye(count)
    bargain = np.ones(count)
    bargain *= np.sqrt(count / (bargain @ matrix @ bargain))
    last = math.inf
    for _ in range(_STEPS):
        slope = matrix @ bargain - 1.0 / bargain
        # In units of a itself, in which the logarithm's second derivative is 1.
        step = np.linalg.solve(bargain[:, None] * matrix * bargain + np.eye(count), -bargain * slope)
        decrement = float(-(bargain * slope) @ step)
        if decrement <= _DECREMENT or (last <= _FULL_STEP and decrement >= last):
            break
        last = decrement
        bargain = bargain * (1.0 + (step if decrement <= _FULL_STEP else step / (1.0 + math.sqrt(decrement))))
        bargain *= np.sqrt(count / (bargain @ matrix @ bargain))
    return bargain
