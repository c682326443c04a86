"""APGD-CE: projected gradient with a step size of its own choice, on the cross-entropy."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from typing_extensions import Unpack

from gat_lightning.attacks.external import ExternalAttack, ExternalSettings
from gat_lightning.attacks.problem import ClassifierProblem
from gat_lightning.validate import check_int


class APGDCE(ExternalAttack):
    """Auto-PGD on the cross-entropy, by torchattacks.

    Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
    (ICML 2020), section 3 and algorithm 1. Only images that no step has fooled yet are of interest to it: one that is
    misclassified or not fooled comes back as it was.

    Args:
        steps: number of steps, at least 1; 100 in the paper (torchattacks' own default is 10).
        restarts: number of random starts, at least 1.
        **settings: ``norm`` (``Linf`` or ``L2``), ``eps``, ``seed`` and ``mode`` of
            :class:`~gat_lightning.attacks.external.ExternalAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range, or the norm is L1.
    """

    label = "apgd_ce"

    def __init__(self, *, steps: int = 100, restarts: int = 1, **settings: Unpack[ExternalSettings]) -> None:
        super().__init__(**settings)
        self.steps = check_int("steps", steps)
        self.restarts = check_int("restarts", restarts)

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.APGD``."""
        import torchattacks

        return torchattacks.APGD(
            model, norm=self.norm.name, eps=self.eps, steps=self.steps, n_restarts=self.restarts, seed=seed, loss="ce"
        )
