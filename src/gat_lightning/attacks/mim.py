"""MIM: steps along a momentum of gradients."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from gat_lightning.attacks.iterative import AscentSettings, IterativeAttack
from gat_lightning.validate import check_real


class MIM(IterativeAttack):
    """Momentum iterative method (MI-FGSM): ascends along a decaying sum of normalised gradients.

    Dong et al., "Boosting adversarial attacks with momentum" (CVPR 2018), algorithm 1 (L-infinity) and its L2 form. In
    every norm the gradients are divided by their mean absolute value before they are summed, and the step is the
    norm's steepest step along the sum.

    Args:
        decay: factor of the sum at each step, at least 0; 1 in the paper, 0 is BIM.
        **settings: ``norm``, ``eps``, ``step_size`` (``None`` for ``eps / steps``, as in the paper), ``steps``,
            ``loss``, ``eot``, ``targeted`` and ``mode`` of :class:`~gat_lightning.attacks.iterative.IterativeAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.

    Examples:
        >>> attack = MIM(eps="8/255", steps=10)
        >>> adversarial = attack(ClassifierProblem(model, labels), images)
    """

    def __init__(self, *, decay: float = 1.0, **settings: Unpack[AscentSettings]) -> None:
        super().__init__(**settings)
        self.decay = check_real("decay", decay, 0, example=1)

    @property
    def name(self) -> str:
        """``mim10`` for 10 steps."""
        return self._named(f"mim{self.steps}")

    def _accumulate(self, gradient: Tensor, previous: Tensor | None) -> Tensor:
        size = gradient.abs().mean((1, 2, 3), keepdim=True)
        gradient = gradient / torch.where(size > 0, size, 1)
        return gradient if previous is None else gradient + self.decay * previous
