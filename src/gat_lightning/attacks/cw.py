"""C&W: a small L2 perturbation by optimisation."""

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from gat_lightning.attacks.base import AttackSettings
from gat_lightning.attacks.external import ExternalAttack
from gat_lightning.attacks.norms import L2
from gat_lightning.attacks.problem import ClassifierProblem, Problem
from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_int, check_real

SHRINK = 0.999
"""Factor that keeps pixels at 0 and 1 off the flat ends of tanh, as in the authors' code."""


class CW(ExternalAttack):
    """Carlini and Wagner's L2 attack, by torchattacks: images whose perturbation turns out longer than ``eps`` stand.

    Carlini and Wagner, "Towards evaluating the robustness of neural networks" (S&P 2017), sections 5 and 6.1, with a
    fixed ``c``. Pixels at 0 and 1 can move, which they cannot in torchattacks 3.5.1. It stops for a whole batch at
    once, so results depend on the batch.

    Args:
        steps: number of Adam's steps, at least 1.
        c: weight of the classification term, above 0.
        confidence: margin κ by which the wrong class must win, at least 0.
        lr: of Adam, above 0.
        **settings: ``norm`` (``L2``, the default), ``eps`` (0.5 by default) and ``mode`` of
            :class:`~gat_lightning.attacks.base.Attack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range, or the norm is not L2.
    """

    label = "cw"
    stops_at_boundary = True
    norms = (L2,)

    def __init__(
        self,
        *,
        steps: int = 200,
        c: float = 1.0,
        confidence: float = 0.0,
        lr: float = 0.01,
        **settings: Unpack[AttackSettings],
    ) -> None:
        settings.setdefault("norm", "L2")
        settings.setdefault("eps", 0.5)
        super().__init__(seed=0, **settings)
        self.steps = check_int("steps", steps)
        self.c = check_real("c", c, 0, closed="neither")
        self.confidence = check_real("confidence", confidence, 0)
        self.lr = check_real("lr", lr, 0, closed="neither")

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """What torchattacks makes of the images; its zero gradients say nothing."""
        adversarial = super().perturb(problem, images, generator)
        self.zero_gradient = None
        return adversarial

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.CW``, with another start."""
        import torchattacks

        attack = torchattacks.CW(model, c=self.c, kappa=self.confidence, steps=self.steps, lr=self.lr)
        attack.inverse_tanh_space = lambda images: torch.atanh((2 * images - 1) * SHRINK)
        return attack
