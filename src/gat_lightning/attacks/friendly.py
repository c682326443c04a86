"""PGD that stops where an image has just been misclassified."""

from __future__ import annotations

import torch
from torch import Tensor

from gat_lightning.attacks.iterative import input_gradient
from gat_lightning.attacks.norms import Norm
from gat_lightning.attacks.pgd import PGD
from gat_lightning.attacks.problem import Problem
from gat_lightning.errors import UserError
from gat_lightning.randomness import BatchGenerator


class FriendlyPGD(PGD):
    """PGD in which each image stops after ``tau`` further steps once it is misclassified.

    Zhang et al., "Attacks which do not kill training make adversarial learning stronger" (ICML 2020), Algorithm 1.
    Each step costs a forward more than one of PGD, to see what is misclassified.

    Args:
        norm: ``Linf``, ``L2``, ``L1``, or a :class:`~gat_lightning.attacks.norms.Norm`.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``.
        step_size: length of a step in ``norm``, above 0; ``None`` for ``eps / 4``.
        steps: largest number of steps, at least 1.
        tau: steps after the first misclassification, at least 0.
        random_start: ``none``, ``uniform`` or ``gaussian``.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Raises:
        UserError: a setting is out of its range or a name is unknown.
    """

    def __init__(
        self,
        norm: str | Norm = "Linf",
        eps: float | str = "8/255",
        step_size: float | str | None = None,
        steps: int = 10,
        tau: int = 1,
        random_start: str = "uniform",
        mode: str = "eval",
    ) -> None:
        super().__init__(norm, eps, step_size, steps, random_start, mode=mode)
        if isinstance(tau, bool) or not isinstance(tau, int) or tau < 0:
            raise UserError(f"attack.tau={tau!r} must be a whole number, 0 or more")
        self.tau = tau

    @property
    def name(self) -> str:
        """``friendly10`` for at most 10 steps."""
        return self._named(f"friendly{self.steps}")

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Ascends from a random start, each image for as long as it may.

        Raises:
            UserError: the problem cannot say what is misclassified.
        """
        misclassified = getattr(problem, "success", None)
        if misclassified is None:
            raise UserError(f"{self.name} needs a target with classes: it stops where an image is misclassified")
        start = images + self.norm.random(images, self.eps, self.random_start, generator)
        adversarial = start.clamp(0, 1)
        left = torch.full((len(images),), self.tau, device=images.device)
        for _ in range(self.steps):
            with torch.no_grad():
                wrong = misclassified(adversarial)
            moving = ~wrong | (left > 0)
            left = left - wrong.long()
            step = self.step_size * self.norm.steepest(input_gradient(problem, adversarial), adversarial)
            ahead = (images + self.norm.project(adversarial + step - images, self.eps)).clamp(0, 1)
            adversarial = torch.where(moving[:, None, None, None], ahead, adversarial)
        return adversarial
