"""FGSM: one step."""

from __future__ import annotations

from gat_lightning.attacks.iterative import IterativeAttack
from gat_lightning.attacks.norms import Norm


class FGSM(IterativeAttack):
    """Fast gradient sign method: one step of length ``eps`` from the image.

    Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples" (ICLR 2015), section 4; for L2 and
    L1 the step of that norm takes the place of the sign.

    Args:
        norm: ``Linf``, ``L2``, ``L1``, or a :class:`~gat_lightning.attacks.norms.Norm`.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        UserError: a setting is out of its range or a name is unknown.

    Example:
        >>> attack = FGSM(eps="8/255")
        >>> adversarial = attack(ClassifierProblem(model, labels), images)
    """

    def __init__(self, norm: str | Norm = "Linf", eps: float | str = "8/255", mode: str = "eval") -> None:
        super().__init__(norm, eps, step_size=None, steps=1, mode=mode)

    @property
    def name(self) -> str:
        """``fgsm``."""
        return self._named("fgsm")
