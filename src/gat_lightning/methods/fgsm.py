"""Adversarial training with FGSM."""

from typing_extensions import Unpack

from gat_lightning.attacks import FGSM, AttackSettings
from gat_lightning.methods.madry import Madry


class FGSMTraining(Madry):
    """Adversarial training with FGSM, clean and adversarial losses in equal parts.

    Goodfellow et al., "Explaining and harnessing adversarial examples" (ICLR 2015), section 6, with their weight 1/2.

    Args:
        pairing: see :class:`~gat_lightning.methods.madry.Madry`.
        loss: that FGSM increases: ``None`` for the tasks' own, ``margin`` or ``dlr``.
        **settings: ``norm``, ``eps`` and ``mode`` of :class:`~gat_lightning.attacks.fgsm.FGSM`.

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
    """

    def __init__(
        self, *, pairing: str = "combined", loss: str | None = None, **settings: Unpack[AttackSettings]
    ) -> None:
        super().__init__(pairing)
        self.attack = FGSM(loss=loss, **settings)
