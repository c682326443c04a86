"""Ensembles of attacks: each attack runs on the images that the previous ones did not fool."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from gat_lightning.attacks.base import Attack
from gat_lightning.attacks.problem import ClassifierProblem, Problem, RankingProblem, as_decision
from gat_lightning.randomness import BatchGenerator, Shard


class Ensemble(Attack):
    """Attacks in a fixed order; an image that one has fooled is left alone by those after it.

    An image that no member fools, or that is misclassified to begin with, comes back as it was. Images that are ranked
    (:class:`~gat_lightning.attacks.problem.RankingProblem`) are attacked by every member, and keep what has the lowest
    signed logit. An evaluation over many
    batches runs each member over all batches before the next (:mod:`gat_lightning.evaluation.robustness`), with the
    same result where the ensemble has a seed; where it has none, its members begin with one draw there, and each with
    its own here.
    """

    needs_decision = True
    version: ClassVar[str] = "custom"
    """Name of the version in the official code of AutoAttack, where attacks of one's own choice are ``custom``."""

    @property
    @abstractmethod
    def members(self) -> tuple[Attack, ...]:
        """The attacks, in order, with the norm, radius and mode of the ensemble."""

    def check_images(self, channels: int, height: int, width: int) -> None:
        """See that every member is defined for such images."""
        for member in self.members:
            member.check_images(channels, height, width)

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """One member after the other."""
        decision = as_decision(problem, self.name)
        if isinstance(decision, RankingProblem):
            return self._lowest(decision, images, generator)
        adversarial = images.clone()
        standing = _standing(decision, images)
        for member in self.members:
            if len(standing) == 0:
                break
            part = _restricted(decision, standing)
            found = member.perturb(part, images[standing], _Rows(generator, standing.cpu()))
            self._count_of(member, standing, len(images))
            with torch.no_grad():
                fooled = part.success(found)
            adversarial[standing[fooled]] = found[fooled]
            standing = standing[~fooled]
        return adversarial

    def _count_of(self, member: Attack, rows: Tensor, size: int) -> None:
        if member.zero_gradient is not None:
            zero = torch.zeros(size, dtype=torch.bool, device=rows.device)
            zero[rows] = member.zero_gradient
            self._count(zero)

    def _lowest(self, problem: RankingProblem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Of the images and what each member makes of them, those with the lowest signed logit."""
        best, lowest = images, problem.signed_logit(images)
        for member in self.members:
            found = member.perturb(problem, images, generator)
            self._count(member.zero_gradient)
            signed = problem.signed_logit(found)
            best = torch.where((signed < lowest)[:, None, None, None], found, best)
            lowest = torch.minimum(signed, lowest)
        return best


@torch.no_grad()
def _standing(problem: ClassifierProblem, images: Tensor) -> Tensor:
    """Which images are classified rightly: their rows."""
    return (~problem.success(images)).nonzero().flatten()


def _restricted(problem: ClassifierProblem, rows: Tensor) -> ClassifierProblem:
    """The same problem for some of its images."""
    part = copy.copy(problem)
    part.labels = problem.labels[rows]
    return part


class _Rows(BatchGenerator):
    """What another generator draws for some of its samples."""

    def __init__(self, generator: BatchGenerator, rows: Tensor) -> None:
        self.shard = Shard.whole(len(rows))
        self._all = generator
        self._rows = rows

    def rows(self, draw: Callable[[int, torch.Generator], Tensor], device: torch.device | str = "cpu") -> Tensor:
        return self._all.rows(draw)[self._rows].to(device)
