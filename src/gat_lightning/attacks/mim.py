"""MIM: steps along a momentum of gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from gat_lightning.attacks.budget import parse_budget
from gat_lightning.attacks.iterative import IterativeAttack
from gat_lightning.attacks.norms import Norm
from gat_lightning.errors import UserError


class MIM(IterativeAttack):
    """Momentum iterative method (MI-FGSM): ascends along a decaying sum of normalised gradients.

    Dong et al., "Boosting adversarial attacks with momentum" (CVPR 2018), algorithm 1 (L-infinity) and its L2 form. In
    every norm the gradients are divided by their mean absolute value before they are summed, and the step is the
    norm's steepest step along the sum.

    Args:
        norm: ``Linf``, ``L2``, ``L1``, or a :class:`~gat_lightning.attacks.norms.Norm`.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``.
        step_size: length of a step in ``norm``, above 0; ``None`` for ``eps / steps``, as in the paper.
        steps: number of steps, at least 1.
        decay: factor of the sum at each step, at least 0; 1 in the paper, 0 is BIM.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        UserError: a setting is out of its range or a name is unknown.

    Example:
        >>> attack = MIM(eps="8/255", steps=10)
        >>> adversarial = attack(ClassifierProblem(model, labels), images)
    """

    def __init__(
        self,
        norm: str | Norm = "Linf",
        eps: float | str = "8/255",
        step_size: float | str | None = None,
        steps: int = 10,
        decay: float = 1.0,
        mode: str = "eval",
    ) -> None:
        super().__init__(norm, eps, step_size, steps, mode)
        self.decay = parse_budget(decay, "decay")
        if self.decay < 0:
            raise UserError(f"attack.decay={decay} must be 0 or more; the paper takes 1")

    @property
    def name(self) -> str:
        """``mim10`` for 10 steps."""
        return self._named(f"mim{self.steps}")

    def _accumulate(self, gradient: Tensor, previous: Tensor | None) -> Tensor:
        size = gradient.abs().mean((1, 2, 3), keepdim=True)
        gradient = gradient / torch.where(size > 0, size, 1)
        return gradient if previous is None else gradient + self.decay * previous
