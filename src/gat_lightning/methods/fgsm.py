"""Training on clean images and on those of a single step."""

from __future__ import annotations

from gat_lightning.attacks import FGSM
from gat_lightning.methods.madry import Madry


class FGSMTraining(Madry):
    """Adversarial training with FGSM, clean and adversarial losses in equal parts.

    Goodfellow et al., "Explaining and harnessing adversarial examples" (ICLR 2015), section 6, with their weight 1/2.

    Args:
        eps: length of the step in units of [0, 1] pixels; a number or text such as ``8/255``.
        norm: ``Linf``, ``L2`` or ``L1``.
        mode: of the model under attack, ``eval`` or ``train``.
        pairing: see :class:`~gat_lightning.methods.madry.Madry`.

    Raises:
        UserError: a setting is out of its range, or a name is unknown.
    """

    def __init__(self, eps: float | str, norm: str = "Linf", mode: str = "eval", pairing: str = "combined") -> None:
        super().__init__(pairing)
        self.attack = FGSM(norm, eps, mode)
