"""Attack problems: the loss to increase and, for classifiers, the criterion of success."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gat_lightning.attacks import losses
from gat_lightning.batch import decide

LossFunction = Callable[[Tensor], Tensor]
"""Images ``[B, C, H, W]`` in [0, 1] -> loss of each sample ``[B]``."""


@runtime_checkable
class Problem(Protocol):
    """The inner maximisation of one batch. Attacks that need only a loss also take a bare :data:`LossFunction`.

    ``module`` is what must come out of the attack as it went in (modes, ``requires_grad``, BatchNorm statistics).
    Classifiers also offer ``logits(x)``, ``labels``, ``decision_loss(x, loss) -> [B]`` and ``success(x) -> bool [B]``,
    see :class:`ClassifierProblem`. ``gaussian``, bool ``[B]``, says which images steepest ascent begins at a Gaussian
    point of the ball, whatever the attack's own start is.
    """

    module: nn.Module | None

    def loss(self, images: Tensor) -> Tensor:
        """Loss of each sample, ``[B]``."""
        ...


class LossProblem:
    """A :class:`Problem` made of a loss function and the module behind it."""

    def __init__(self, loss: LossFunction, module: nn.Module | None = None) -> None:
        self._loss = loss
        self.module = module

    def loss(self, images: Tensor) -> Tensor:
        """Loss of each sample, ``[B]``."""
        return self._loss(images)


class ClassifierProblem:
    """Untargeted misclassification by a single-task classifier.

    Args:
        model: images ``[B, C, H, W]`` in [0, 1] -> logits ``[B, K]``.
        labels: true classes ``[B]``, long.
        loss: ``(logits, labels) -> [B]``; cross-entropy by default, computed from the margin (see
            :func:`~gat_lightning.attacks.losses.cross_entropy`), since the gradient of torch's vanishes in float32
            where the model is confident.
    """

    def __init__(
        self, model: nn.Module, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor] | None = None
    ) -> None:
        self.module: nn.Module | None = model
        self.model = model
        self.labels = labels
        self._loss = loss or losses.cross_entropy

    def check_labels(self, count: int) -> None:
        """See that there is one class for each of ``count`` images, at least one.

        Raises:
            ValueError: there are more or fewer, they are no whole numbers, or one is negative.
        """
        labels = self.labels
        shape = list(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        if shape != [count] or labels.is_floating_point():
            dtype = f"{labels.dtype} of shape " if isinstance(labels, Tensor) else ""
            raise ValueError(
                f"{count} images need {count} labels, a long tensor of shape [{count}], got {dtype}{shape}"
            )
        if (lowest := int(labels.min())) < 0:
            raise ValueError(f"Labels are classes, numbered from 0, got {lowest}: leave out images without a label")

    def logits(self, images: Tensor) -> Tensor:
        """Logits ``[B, K]``."""
        return self.model(images)

    def loss(self, images: Tensor) -> Tensor:
        """Loss of each sample, ``[B]``."""
        return self._loss(self.logits(images), self.labels)

    def decision_loss(self, images: Tensor, loss: losses.DecisionLoss) -> Tensor:
        """Another loss of each sample, ``[B]``."""
        return loss(self.logits(images), self.labels)

    def success(self, images: Tensor) -> Tensor:
        """Which images are misclassified, bool ``[B]``."""
        return decide(self.logits(images)) != self.labels


class TwoLogits(nn.Module):
    """A classifier with one logit z, ``[B, 1]`` or ``[B]``, as one with the two logits (0, z), ``[B, 2]``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images ``[B, C, H, W]``."""
        return nn.functional.pad(self.model(images).reshape(-1, 1), (1, 0))


class BinaryProblem(ClassifierProblem):
    """Misclassification by a classifier with one logit z, shown to attacks as the two logits (0, z).

    Cross-entropy of (0, z) is binary cross-entropy of z, so that the loss is the same.

    Args:
        model: images ``[B, C, H, W]`` in [0, 1] -> logits ``[B, 1]`` or ``[B]``.
        labels: 0 or 1, ``[B]``, long.
    """

    def __init__(self, model: nn.Module, labels: Tensor) -> None:
        super().__init__(TwoLogits(model), labels)


class RankingProblem(BinaryProblem):
    """A binary problem whose images are ranked by the logit, without a threshold, as AUROC does.

    Misclassified images are attacked too, and the aim is the lowest signed logit (z for label 1, -z for label 0).
    """

    @torch.no_grad()
    def signed_logit(self, images: Tensor) -> Tensor:
        """Signed logit of each image, ``[B]``; minus infinity where it is not finite."""
        signed = -self.decision_loss(images, losses.margin)
        return signed.where(signed.isfinite(), -torch.inf)


def as_decision(problem: Problem, attack: str) -> ClassifierProblem:
    """``problem``, if it is a decision between classes.

    Raises:
        ValueError: it has only a loss, as a regression has, or the summed loss of several tasks.
    """
    if isinstance(problem, ClassifierProblem):
        return problem
    raise ValueError(
        f"{attack} attacks the decision of a classifier and is not defined for a loss alone: use PGD, FGSM, BIM, MIM or"
        " Square there, and elsewhere give it ClassifierProblem(model, labels), or BinaryProblem for one logit."
    )
