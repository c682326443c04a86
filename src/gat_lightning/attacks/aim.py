"""What targeted attacks aim at."""

import torch
from torch import Tensor

from gat_lightning.attacks import losses
from gat_lightning.attacks.problem import ClassifierProblem
from gat_lightning.batch import decide
from gat_lightning.randomness import BatchGenerator

AIMS = ("least_likely", "random")
"""How the class of each image is chosen, where it is not one class for all."""


class TargetedProblem:
    """A decision between classes under a targeted attack: the loss to increase is minus that of the target class.

    Kurakin, Goodfellow and Bengio, "Adversarial examples in the physical world" (ICLR workshop 2017), section 2.3. In
    place of the least likely of all classes, the true one included, ``least_likely`` is that of the others.

    Args:
        problem: the decision; its own loss is replaced by the cross-entropy of the target class.
        images: before the attack, ``[B, C, H, W]``.
        targeted: one of :data:`AIMS`, or the number of a class.
        generator: draws ``random`` classes.

    Attributes:
        targets: class of each image, long ``[B]``; -1 for images of that class, whose loss is 0.

    Raises:
        ValueError: the classifier has no such class.
    """

    def __init__(
        self, problem: ClassifierProblem, images: Tensor, targeted: str | int, generator: BatchGenerator
    ) -> None:
        self.module, self._problem = problem.module, problem
        self.targets = self._chosen(images, targeted, generator)

    @torch.no_grad()
    def _chosen(self, images: Tensor, targeted: str | int, generator: BatchGenerator) -> Tensor:
        labels, logits = self._problem.labels, self._problem.logits(images)
        classes = logits.shape[1]
        if targeted == "least_likely":
            return logits.scatter(1, labels[:, None], torch.inf).argmin(1)
        if targeted == "random":
            drawn = generator.integers(classes - 1, images.device)
            return drawn + (drawn >= labels)
        if not isinstance(targeted, int) or targeted >= classes:
            raise ValueError(f"targeted={targeted!r} must be {', '.join(AIMS)}, or a class from 0 to {classes - 1}")
        return torch.where(labels == targeted, -1, targeted)

    def loss(self, images: Tensor) -> Tensor:
        """Minus the cross-entropy of the target class, ``[B]``."""
        return self.decision_loss(images, losses.cross_entropy)

    def decision_loss(self, images: Tensor, loss: losses.DecisionLoss) -> Tensor:
        """Minus another loss of the target class, ``[B]``."""
        return -loss(self._problem.logits(images), self.targets)

    def success(self, images: Tensor) -> Tensor:
        """Which images are classified as their target, bool ``[B]``."""
        return decide(self._problem.logits(images)) == self.targets
