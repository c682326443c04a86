"""FGSM: one step."""

from typing_extensions import Unpack

from gat_lightning.attacks.base import AttackSettings
from gat_lightning.attacks.iterative import IterativeAttack


class FGSM(IterativeAttack):
    """Fast gradient sign method: one step of length ``eps`` from the image.

    Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples" (ICLR 2015), section 4; for L2 and
    L1 the step of that norm takes the place of the sign.

    Args:
        loss: see :class:`~gat_lightning.attacks.iterative.IterativeAttack`.
        eot: likewise.
        targeted: likewise.
        **settings: ``norm``, ``eps`` and ``mode`` of :class:`~gat_lightning.attacks.base.Attack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.

    Examples:
        >>> attack = FGSM(eps="8/255")
        >>> adversarial = attack(ClassifierProblem(model, labels), images)
    """

    def __init__(
        self,
        *,
        loss: str | None = None,
        eot: int = 1,
        targeted: str | int | None = None,
        **settings: Unpack[AttackSettings],
    ) -> None:
        super().__init__(steps=1, loss=loss, eot=eot, targeted=targeted, **settings)

    @property
    def name(self) -> str:
        """``fgsm``."""
        return self._named("fgsm")
