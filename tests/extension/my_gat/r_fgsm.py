"""An attack of two steps: a random one, and one along the gradient."""

import torch
from torch import Tensor

from gat_lightning import Attack, BatchGenerator, Problem


class RFGSM(Attack):
    """R+FGSM (Tramèr et al., "Ensemble adversarial training", ICLR 2018).

    Args:
        share: fraction of ``eps`` that the random step takes, in [0, 1].
        norm: norm of the ball.
        eps: radius of the ball, in units of [0, 1] pixels.
        mode: mode of the model during the attack, ``eval`` or ``train``.
    """

    def __init__(
        self,
        *,
        share: float = 0.5,
        norm: str = "Linf",
        eps: float | str | None = None,
        mode: str = "eval",
    ) -> None:
        super().__init__(norm, eps, mode)
        self.share = share

    @property
    def name(self) -> str:
        """Name in metrics."""
        return "r_fgsm"

    def perturb(
        self,
        problem: Problem,
        images: Tensor,
        generator: BatchGenerator,
    ) -> Tensor:
        """Both steps together are at most ``eps`` long."""
        radius = self.share * self.eps
        change = self.norm.random(images, radius, "uniform", generator)
        start = (images + change).clamp(0, 1).requires_grad_()
        (gradient,) = torch.autograd.grad(problem.loss(start).sum(), start)
        step = (self.eps - radius) * self.norm.steepest(gradient, start)
        return (start + step).clamp(0, 1).detach()
