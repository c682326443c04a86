"""CA-AT: turns the adversarial gradient towards the clean one until they agree enough."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gat_lightning.validate import check_real
from gat_lightning.weighting.directional import DirectionalWeighting
from gat_lightning.weighting.min_norm import EPSILON, Array
from gat_lightning.weighting.objective_names import ObjectiveName


class CAAT(DirectionalWeighting):
    r"""Conflict-Aware Adversarial Training (Xue, Wang, Qin and Pedarsani, 2024, arXiv 2410.16579).

    With the gradient g_c of the clean loss, g_a of the adversarial loss, and the cosine φ between them, the step is

    .. math:: g = \begin{cases}
              g_a + \dfrac{\lVert g_a \rVert (\gamma \sqrt{1 - \varphi^2} - \varphi \sqrt{1 - \gamma^2})}
              {\lVert g_c \rVert \sqrt{1 - \gamma^2}}\, g_c & \text{if } \varphi < \gamma \\
              g_c & \text{otherwise}
              \end{cases}

    as the authors' code has it. Where the two gradients disagree by more than γ allows, the step is g_a turned towards
    g_c until their cosine is γ; where they agree, it is g_c alone, and the adversarial loss gets no weight.

    The rule is for one task whose clean and adversarial losses are objectives of their own, as under
    ``method=madry_separate``. The rest is ours: with several tasks g_c is the sum of the gradients of all clean
    objectives, g_a that of all adversarial ones, whatever the method calls them; the cosine is that of the encoder's
    gradients, and decoders get unit weights as under all adaptive weightings, where the authors turn the gradient of
    the whole network. If g_c is zero to rounding, or no clean objective is present in a step, the step is g_a, and the
    other way round.

    Scaling: a common factor of all gradients leaves the weights as they are, and one of g_c the step where φ < γ.

    Args:
        gamma: γ, above -1 and below 1: 0.9 in the authors' script for CIFAR-10.

    Raises:
        SettingError: ``gamma`` is out of its range.
    """

    needs_pairs = True

    def __init__(self, gamma: float = 0.9) -> None:
        self.gamma = check_real("gamma", gamma, -1, 1, closed="neither", example=0.9)

    def check(self, names: Sequence[str]) -> None:
        """See :meth:`Weighting.check`: needs clean and adversarial objectives, and no others."""
        adversarial = _adversarial(names)
        if adversarial.all() or not adversarial.any():
            raise ValueError(
                "CA-AT weighs clean objectives against adversarial ones, and the objectives are"
                f" {', '.join(names)}: set method=madry_separate."
            )

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        adversarial = _adversarial(names)
        relative = norms / norms.max()
        gramian = relative[:, None] * cosines * relative
        sides = np.stack([~adversarial, adversarial]).astype(np.float64)
        (clean, product), (_, attacked) = sides @ gramian @ sides.T
        rounding = 4 * EPSILON * len(norms) * (sides @ relative) ** 2
        if clean <= rounding[0]:
            return sides[1]
        if attacked <= rounding[1]:
            return sides[0]
        cosine = float(np.clip(product / np.sqrt(clean * attacked), -1.0, 1.0))
        if cosine >= self.gamma:
            return sides[0]
        turn = self.gamma * np.sqrt((1.0 - cosine**2) / (1.0 - self.gamma**2)) - cosine
        return sides[1] + np.sqrt(attacked / clean) * turn * sides[0]


def _adversarial(names: Sequence[str]) -> NDArray[np.bool_]:
    """Which objectives are adversarial, ``[K]``; the others are clean.

    Raises:
        ValueError: an objective is both or neither.
    """
    parsed = [ObjectiveName.parse(name) for name in names]
    for name, objective in zip(names, parsed, strict=True):
        what = "CA-AT weighs clean objectives against adversarial ones, and"
        if "clean" in objective.view.split("+")[:-1]:
            raise ValueError(f"{what} '{name}' is both: set method.pairing=separate.")
        if objective.view == "curvature":
            raise ValueError(f"{what} '{name}' is neither: set curvature.mode=penalty or curvature.mode=off.")
        if not objective.view:
            raise ValueError(f"{what} '{name}' is neither: names are TASK/VIEW, such as class/adv.")
    return np.array([objective.is_adversarial for objective in parsed])
