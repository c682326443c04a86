"""Steepest ascent with projection, the loop that FGSM, BIM, PGD and MIM share."""

from __future__ import annotations

import torch
from torch import Tensor

from gat_lightning.attacks.base import Attack
from gat_lightning.attacks.budget import parse_budget
from gat_lightning.attacks.norms import Norm
from gat_lightning.attacks.problem import Problem
from gat_lightning.attacks.settings import at_least_one
from gat_lightning.errors import UserError
from gat_lightning.randomness import BatchGenerator


class IterativeAttack(Attack):
    """Projected steepest ascent from the images themselves.

    Each of the ``steps`` costs one forward and one input gradient.

    Args:
        norm: ``Linf``, ``L2``, ``L1``, or a :class:`~gat_lightning.attacks.norms.Norm`.
        eps: radius of the ball in units of [0, 1] pixels, at least 0.
        step_size: length of a step in ``norm``, above 0; ``None`` for the attack's own default.
        steps: number of steps, at least 1.
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
        mode: str = "eval",
    ) -> None:
        super().__init__(norm, eps, mode)
        self.steps = at_least_one("steps", steps)
        self.step_size = self._default_step_size() if step_size is None else parse_budget(step_size, "step_size")
        if step_size is not None and self.step_size <= 0:
            raise UserError(f"attack.step_size={step_size} must be above 0, or null for the attack's default")

    def _default_step_size(self) -> float:
        return self.eps / self.steps

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Ascends from the images."""
        return self._ascend(problem, images, images)

    def _ascend(self, problem: Problem, images: Tensor, start: Tensor) -> Tensor:
        """The point reached from ``start`` in the ball around ``images`` after all steps."""
        adversarial, ascent = start, None
        for _ in range(self.steps):
            ascent = self._accumulate(input_gradient(problem, adversarial), ascent)
            moved = adversarial + self.step_size * self.norm.steepest(ascent, adversarial)
            adversarial = (images + self.norm.project(moved - images, self.eps)).clamp(0, 1)
        return adversarial

    def _accumulate(self, gradient: Tensor, previous: Tensor | None) -> Tensor:
        """What to ascend along, from this step's gradient and what the previous step ascended along."""
        return gradient


def input_gradient(problem: Problem, images: Tensor) -> Tensor:
    """Gradient of each sample's loss with respect to its image, ``[B, C, H, W]``.

    Raises:
        ValueError: the loss is not one value per sample.
        UserError: the loss does not depend on the images.
    """
    images = images.detach().requires_grad_()
    loss = problem.loss(images)
    if loss.shape != images.shape[:1]:
        raise ValueError(
            f"The attacked loss must be one value per sample, [{len(images)}], got {list(loss.shape)}; "
            "losses of torch give that with reduction='none'"
        )
    (gradient,) = torch.autograd.grad(loss.sum(), images, allow_unused=True) if loss.requires_grad else (None,)
    if gradient is None:
        raise UserError(
            "The attacked loss has no gradient with respect to the images; is it computed without gradients "
            "(torch.no_grad, .detach(), argmax), or from other images?"
        )
    return gradient
