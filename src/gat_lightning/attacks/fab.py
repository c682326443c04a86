"""FAB: fast adaptive boundary attack, which searches for the nearest decision boundary."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from gat_lightning.attacks.apgd import TARGETS
from gat_lightning.attacks.external import ExternalAttack, ExternalSettings, count_classes
from gat_lightning.attacks.norms import L1, L2, Linf, as_norm, sizes
from gat_lightning.attacks.problem import ClassifierProblem
from gat_lightning.validate import check_int


class FAB(ExternalAttack):
    """Fast adaptive boundary attack, by torchattacks: small perturbations, kept if they are within the ball.

    Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack" (ICML 2020),
    algorithm 1. Deterministic with one restart, which begins at the image. L1 works, which ``torchattacks.FAB`` of
    version 3.5.1 does not.

    Args:
        steps: number of steps, per target if targeted, at least 1; 100 in the paper (torchattacks' own default is 10).
        restarts: number of starts, at least 1; those after the first are random.
        targeted: towards min(9, K - 1) wrong classes in turn, the likeliest first, as in AutoAttack (FAB-T): its cost
            does not grow with the number of classes, which the untargeted attack's does.
        **settings: ``norm`` (``Linf``, ``L2`` or ``L1``), ``eps``, ``seed`` and ``mode`` of
            :class:`~gat_lightning.attacks.external.ExternalAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range.
    """

    label = "fab"
    stops_at_boundary = True
    norms = (Linf, L2, L1)

    def __init__(
        self, *, steps: int = 100, restarts: int = 1, targeted: bool = True, **settings: Unpack[ExternalSettings]
    ) -> None:
        super().__init__(**settings)
        self.steps = check_int("steps", steps)
        self.restarts = check_int("restarts", restarts)
        self.targeted = targeted

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.FAB``, with our loop over targets and restarts."""
        return _fab()(
            model,
            norm=self.norm.name,
            eps=self.eps,
            steps=self.steps,
            n_restarts=self.restarts,
            seed=seed,
            multi_targeted=self.targeted,
            n_classes=min(TARGETS, count_classes(problem, images) - 1) + 1,
        )


@cache
def _fab() -> Any:
    """``torchattacks.FAB`` that attacks only the images not yet fooled, target by target and start by start."""
    import torchattacks

    class PersistentFAB(torchattacks.FAB):
        def perturb(self, images: Tensor, labels: Tensor) -> Tensor:
            run = self.attack_single_run_targeted if self.multi_targeted else self.attack_single_run
            ranks = range(2, self.n_target_classes + 2) if self.multi_targeted else [None]
            adversarial = images.clone()
            with torch.no_grad():
                standing = self.get_logits(images).argmax(1) == labels
                torch.manual_seed(self.seed)
                for self.target_class in ranks:
                    for restart in range(self.n_restarts):
                        rows = standing.nonzero().flatten()
                        if len(rows) == 0:
                            return adversarial
                        self.model.rows = rows
                        found = run(images[rows], labels[rows], use_rand_start=restart > 0)
                        fooled = (self.get_logits(found).argmax(1) != labels[rows]) & self._near(found, images[rows])
                        standing[rows[fooled]] = False
                        adversarial[rows[fooled]] = found[fooled].to(images.dtype)
            return adversarial

        def _near(self, found: Tensor, images: Tensor) -> Tensor:
            return sizes(found - images, as_norm(self.norm)) <= self.eps

    return PersistentFAB
