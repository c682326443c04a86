"""The audited classifier, and the white-box attacks that several checks use as a reference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from gat_lightning.attacks import PGD, Attack, ClassifierProblem, Norm, input_gradient
from gat_lightning.batch import decide
from gat_lightning.evaluation.statistics import mcnemar
from gat_lightning.randomness import ImageGenerator

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits ``[B, K]``, labels ``[B]``) -> ``[B]``."""

LEVEL = 0.05
"""Level of McNemar's test, without which a difference between two attacks counts as chance."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """``[B]``."""
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def margin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Margin loss ``[B]``: highest wrong logit minus the true one. Unlike cross-entropy it never saturates."""
    right = logits.gather(1, labels[:, None]).squeeze(1)
    return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - right


class _Problem(ClassifierProblem):
    """Problem whose gradient is zero, instead of an error, if the logits do not depend on the images."""

    def logits(self, images: Tensor) -> Tensor:
        return _decision(super().logits(images)) + 0 * images.flatten(1).sum(1, keepdim=True)


def _decision(logits: Tensor) -> Tensor:
    """Convert one logit z to the two logits (0, z) of a binary decision; keep several logits."""
    logits = logits[:, None] if logits.dim() == 1 else logits
    return nn.functional.pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


@dataclass(frozen=True)
class Outcome:
    """Result of an attack.

    Attributes:
        images: adversarial images ``[N, C, H, W]``.
        correct: mask of those still classified correctly, bool ``[N]``.
    """

    images: Tensor
    correct: Tensor

    @property
    def accuracy(self) -> float:
        """Robust accuracy in [0, 1]."""
        return float(self.correct.float().mean())


class Subject:
    """The audited classifier and its images. Everything is computed in batches and in eval mode.

    Args:
        model: images ``[B, C, H, W]`` in [0, 1] -> logits ``[B, K]`` (or one logit); already in the audited mode.
        images: ``[N, C, H, W]``.
        labels: ``[N]`` long.
        eps: radius of the ball.
        norm: norm of the ball.
        seed: seed of all attacks.
        batch_size: number of images per pass.
        groups: patient of each image, long ``[N]``; None if each stands for itself.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        eps: float,
        norm: Norm,
        seed: int,
        batch_size: int,
        groups: Tensor | None = None,
    ) -> None:
        self.model = model
        self.images = images
        self.labels = labels
        self.eps = eps
        self.norm = norm
        self.seed = seed
        self.batch_size = batch_size
        self._groups = None if groups is None else groups.cpu().numpy()

    def _batches(self, count: int) -> Iterator[slice]:
        for start in range(0, count, self.batch_size):
            yield slice(start, min(start + self.batch_size, count))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """``[n, K]`` of any images."""
        return torch.cat([_decision(self.model(images[part])) for part in self._batches(len(images))])

    def correct(self, images: Tensor) -> Tensor:
        """Mask of the correctly classified images, bool ``[N]``."""
        return decide(self.logits(images)) == self.labels

    def losses(self, images: Tensor) -> Tensor:
        """Cross-entropy of N images, ``[N]``."""
        return cross_entropy(self.logits(images), self.labels)

    def gradients(self, images: Tensor, loss: Loss = cross_entropy) -> Tensor:
        """Input gradients of N images, ``[N, C, H, W]``; zero where the model is not differentiable."""
        parts = [
            input_gradient(_Problem(self.model, self.labels[part], loss), images[part])
            for part in self._batches(len(images))
        ]
        return torch.cat(parts)

    def attacked(
        self,
        attack: Attack,
        purpose: str,
        standing: Tensor | None = None,
        loss: Loss = cross_entropy,
        surrogate: nn.Module | None = None,
    ) -> Outcome:
        """Run an attack.

        Args:
            attack: the attack.
            purpose: part of the random key.
            standing: bool ``[N]``, images to attack; the others count as already fooled. None: all.
            loss: loss that the attack increases.
            surrogate: model whose gradients are used; by default the subject's.
        """
        chosen = torch.arange(len(self.images)) if standing is None else standing.nonzero().squeeze(1).cpu()
        adversarial = self.images.clone()
        for part in self._batches(len(chosen)):
            index = chosen[part].to(self.images.device)
            problem = _Problem(surrogate or self.model, self.labels[index], loss)
            generator = ImageGenerator(chosen[part], self.seed, "audit", purpose)
            adversarial[index] = attack(problem, self.images[index], generator)
        correct = self.correct(adversarial)
        return Outcome(adversarial, correct if standing is None else correct & standing)

    @cached_property
    def clean_correct(self) -> Tensor:
        """Mask of the images classified correctly before any attack, bool ``[N]``."""
        return self.correct(self.images)

    @cached_property
    def white_box(self) -> Outcome:
        """PGD with 20 steps of eps / 4 and one random start, on cross-entropy."""
        return self.attacked(PGD(norm=self.norm, eps=self.eps, steps=20), "pgd20")

    @cached_property
    def strong(self) -> Outcome:
        """PGD with 100 steps and 5 restarts, on the images that :attr:`white_box` did not fool."""
        longer = self.attacked(
            PGD(norm=self.norm, eps=self.eps, steps=100, restarts=5), "pgd100x5", self.white_box.correct
        )
        images = torch.where(self.white_box.correct[:, None, None, None], longer.images, self.white_box.images)
        return Outcome(images, longer.correct)

    def significantly_lower(self, reference: Tensor, other: Tensor, tolerance: float) -> bool:
        """Whether the accuracy of ``other`` is significantly lower than that of ``reference``, by over ``tolerance``.

        Args:
            reference: bool ``[N]``, images still classified correctly after one attack.
            other: the same after another attack.
            tolerance: in [0, 1].
        """
        difference = float(reference.float().mean() - other.float().mean())
        masks = (reference.cpu().numpy(), other.cpu().numpy())
        return difference > tolerance and mcnemar(*masks, self._groups).p_value < LEVEL
