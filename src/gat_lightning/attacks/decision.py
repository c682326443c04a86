"""Attacks on a decision between classes: they need logits and labels, not only a loss."""

from __future__ import annotations

from torch import Tensor, nn

from gat_lightning.attacks.problem import ClassifierProblem, Problem


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
