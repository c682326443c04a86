"""C&W: a small L2 perturbation by optimisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gat_lightning.attacks.budget import parse_budget
from gat_lightning.attacks.external import ExternalAttack
from gat_lightning.attacks.norms import L2, Norm
from gat_lightning.attacks.problem import ClassifierProblem
from gat_lightning.attacks.settings import at_least_one
from gat_lightning.errors import UserError

SHRINK = 0.999
"""Factor that keeps pixels at 0 and 1 off the flat ends of tanh, as in the authors' code."""


class CW(ExternalAttack):
    """Carlini and Wagner's L2 attack, by torchattacks: images whose perturbation turns out longer than ``eps`` stand.

    Carlini and Wagner, "Towards evaluating the robustness of neural networks" (S&P 2017), sections 5 and 6.1, with a
    fixed ``c``. Pixels at 0 and 1 can move, which they cannot in torchattacks 3.5.1. It stops for a whole batch at
    once, so results depend on the batch.

    Args:
        norm: ``L2``.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``0.5``.
        steps: number of Adam's steps, at least 1.
        c: weight of the classification term, above 0.
        confidence: margin κ by which the wrong class must win, at least 0.
        lr: of Adam, above 0.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        UserError: a setting is out of its range, or the norm is not L2.
    """

    label = "cw"
    norms = (L2,)

    def __init__(
        self,
        norm: str | Norm = "L2",
        eps: float | str = "8/255",
        steps: int = 200,
        c: float = 1.0,
        confidence: float = 0.0,
        lr: float = 0.01,
        mode: str = "eval",
    ) -> None:
        super().__init__(norm, eps, seed=0, mode=mode)
        self.steps = at_least_one("steps", steps)
        self.c, self.confidence, self.lr = (
            parse_budget(value, name) for name, value in (("c", c), ("confidence", confidence), ("lr", lr))
        )
        if self.c <= 0 or self.lr <= 0 or self.confidence < 0:
            raise UserError(
                f"attack.c={c} and attack.lr={lr} must be above 0 and attack.confidence={confidence} 0 or more"
            )

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.CW``, with another start."""
        import torchattacks

        attack = torchattacks.CW(model, c=self.c, kappa=self.confidence, steps=self.steps, lr=self.lr)
        attack.inverse_tanh_space = lambda images: torch.atanh((2 * images - 1) * SHRINK)
        return attack
