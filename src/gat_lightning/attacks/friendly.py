"""Friendly PGD: it stops just past the decision boundary."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from gat_lightning.attacks.iterative import AscentSettings
from gat_lightning.attacks.pgd import PGD
from gat_lightning.attacks.problem import Problem
from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_int


class FriendlyPGD(PGD):
    """PGD in which each image stops after ``tau`` further steps once it is misclassified, and then stays.

    Zhang et al., "Attacks which do not kill training make adversarial learning stronger" (ICML 2020), Algorithm 1.
    Each step costs a forward more than one of PGD, to see what is misclassified.

    Args:
        tau: steps after the first misclassification, at least 0.
        random_start: ``none``, ``uniform`` or ``gaussian``, see :class:`~gat_lightning.attacks.pgd.PGD`.
        **settings: ``norm``, ``eps``, ``step_size`` (``None`` for ``eps / 4``), ``steps`` (the largest number),
            ``loss`` and ``mode`` of :class:`~gat_lightning.attacks.iterative.IterativeAttack`.

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
    """

    def __init__(self, *, tau: int = 1, random_start: str = "uniform", **settings: Unpack[AscentSettings]) -> None:
        super().__init__(random_start=random_start, **settings)
        self.tau = check_int("tau", tau, 0)

    @property
    def name(self) -> str:
        """``friendly10`` for at most 10 steps."""
        return self._named(f"friendly{self.steps}")

    def ascended(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Ascends from a random start, each image for as long as it may.

        Raises:
            ValueError: the problem cannot say what is misclassified.
        """
        misclassified = getattr(problem, "success", None)
        if misclassified is None:
            raise ValueError(f"{self.name} needs a target with classes: it stops where an image is misclassified")
        adversarial = self._start(problem, images, generator, self.random_start)
        problem = self.with_loss(problem)
        left = torch.full((len(images),), self.tau, device=images.device)
        moving = torch.ones_like(left, dtype=torch.bool)
        for _ in range(self.steps):
            with torch.no_grad():
                wrong = misclassified(adversarial)
            # In train mode the others, which move on, can change the classification of one that has stopped.
            moving = moving & (~wrong | (left > 0))
            left = left - wrong.long()
            step = self.step_size * self.norm.steepest(self._gradient(problem, adversarial), adversarial)
            ahead = (images + self.norm.project(adversarial + step - images, self.eps)).clamp(0, 1)
            adversarial = torch.where(moving[:, None, None, None], ahead, adversarial)
        return adversarial
