"""APGD-CE: projected gradient with a step size of its own choice, on the cross-entropy."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gat_lightning.attacks.external import ExternalAttack
from gat_lightning.attacks.norms import Norm
from gat_lightning.attacks.problem import ClassifierProblem
from gat_lightning.attacks.settings import at_least_one


class APGDCE(ExternalAttack):
    """Auto-PGD on the cross-entropy, by torchattacks.

    Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
    (ICML 2020), section 3 and algorithm 1. Only images that no step has fooled yet are of interest to it: one that is
    misclassified or not fooled comes back as it was.

    Args:
        norm: ``Linf`` or ``L2``.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``.
        steps: number of steps, at least 1; 100 in the paper (torchattacks' own default is 10).
        restarts: number of random starts, at least 1.
        seed: of torchattacks, the same for every batch; ``None`` to draw one from each batch's generator.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        UserError: a setting is out of its range, or the norm is L1.
    """

    label = "apgd_ce"

    def __init__(
        self,
        norm: str | Norm = "Linf",
        eps: float | str = "8/255",
        steps: int = 100,
        restarts: int = 1,
        seed: int | None = None,
        mode: str = "eval",
    ) -> None:
        super().__init__(norm, eps, seed, mode)
        self.steps = at_least_one("steps", steps)
        self.restarts = at_least_one("restarts", restarts)

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.APGD``."""
        import torchattacks

        return torchattacks.APGD(
            model, norm=self.norm.name, eps=self.eps, steps=self.steps, n_restarts=self.restarts, seed=seed, loss="ce"
        )
