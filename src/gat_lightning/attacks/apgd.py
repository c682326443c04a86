"""Auto-PGD on the cross-entropy (CE), the difference of logits ratio (DLR), and towards likely wrong classes (T)."""

from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from gat_lightning.attacks import losses
from gat_lightning.attacks.apgd_l1 import search_in_l1
from gat_lightning.attacks.external import ExternalAttack, ExternalSettings, LogitsModel, count_classes
from gat_lightning.attacks.norms import L1, L2, Linf, Norm
from gat_lightning.attacks.problem import ClassifierProblem, Problem, RankingProblem
from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_int

TARGETS = 9
"""How many of the likeliest wrong classes are targets, where there are so many."""


class _APGD(ExternalAttack):
    norms: ClassVar[tuple[type[Norm], ...]] = (Linf, L2, L1)
    starts = 0
    """Added to the seed on ranked images, where both attacks have one loss, so that AutoAttack's have two starts."""

    def __init__(
        self, *, steps: int = 100, restarts: int = 1, eot: int = 1, **settings: Unpack[ExternalSettings]
    ) -> None:
        super().__init__(**settings)
        self.steps = check_int("steps", steps)
        self.restarts = check_int("restarts", restarts)
        self.eot = check_int("eot", eot)

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """What torchattacks makes of the images; of ranked ones the highest margin loss of all steps and starts."""
        if not isinstance(problem, RankingProblem):
            return super().perturb(problem, images, generator)
        model = LogitsModel(problem.logits, images)
        attack = _apgd()(model, losses.margin, **self._settings(self.draw_seed(generator)))
        torch.manual_seed(attack.seed + self.starts)
        _, adversarial = attack.perturb(images, problem.labels, best_loss=True)
        self.zero_gradient = model.zero_gradient
        return self.kept(images, adversarial)

    def _settings(self, seed: int) -> dict[str, Any]:
        return {
            "norm": self.norm.name,
            "eps": self.eps,
            "steps": self.steps,
            "n_restarts": self.restarts,
            "eot_iter": self.eot,
            "seed": seed,
        }


class APGDCE(_APGD):
    """Auto-PGD on the cross-entropy, by torchattacks.

    Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
    (ICML 2020), section 3 and algorithm 1. Only images that no step has fooled yet are of interest to it: one that is
    misclassified or not fooled comes back as it was. Ranked images
    (:class:`~gat_lightning.attacks.problem.RankingProblem`) are all of interest, and the loss is the margin. In L1 it
    is the attack of Croce and Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers" (ICML
    2021), see :func:`~gat_lightning.attacks.apgd_l1.search_in_l1`.

    Args:
        steps: number of steps, at least 1; 100 in the paper (torchattacks' own default is 10).
        restarts: number of random starts, at least 1.
        eot: number of gradients to average at each step, for models that draw random numbers; at least 1.
        **settings: ``norm`` (``Linf``, ``L2`` or ``L1``), ``eps``, ``seed`` and ``mode`` of
            :class:`~gat_lightning.attacks.external.ExternalAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range.
    """

    label = "apgd_ce"

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.APGD`` on the cross-entropy."""
        return _apgd()(model, _cross_entropy, **self._settings(seed))


class APGDDLR(_APGD):
    """Auto-PGD on the difference-of-logits ratio, by torchattacks.

    Croce and Hein (ICML 2020), section 4, equation 6. Of two classes the loss is the margin of the logits.

    Args:
        steps: number of steps, at least 1; 100 in the paper.
        restarts: number of random starts, at least 1.
        eot: number of gradients to average at each step, for models that draw random numbers; at least 1.
        **settings: ``norm`` (``Linf``, ``L2`` or ``L1``), ``eps``, ``seed`` and ``mode`` of
            :class:`~gat_lightning.attacks.external.ExternalAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range.
    """

    label = "apgd_dlr"
    starts = 1

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.APGD`` on the difference-of-logits ratio."""
        few = count_classes(problem, images) < losses.DLR_CLASSES
        return _apgd()(model, losses.margin if few else losses.dlr, **self._settings(seed))


class APGDT(_APGD):
    """Targeted Auto-PGD on the targeted difference-of-logits ratio, towards min(9, K - 1) classes.

    Croce and Hein (ICML 2020), section 4.1, equation 7. The ratio takes four classes; with two or three, the loss is
    its numerator, the target's logit minus the true class's. For L-infinity the images are those of
    ``torchattacks.APGDT``; for L2 each image has a step size of its own, where torchattacks 3.5.1 gives all of them
    that of the batch's first. In L1 it is that of :func:`~gat_lightning.attacks.apgd_l1.search_in_l1`.

    Args:
        steps: number of steps per target, at least 1; 100 in the paper (torchattacks' own default is 10).
        restarts: number of random starts per target, at least 1.
        eot: number of gradients to average at each step, for models that draw random numbers; at least 1.
        **settings: ``norm`` (``Linf``, ``L2`` or ``L1``), ``eps``, ``seed`` and ``mode`` of
            :class:`~gat_lightning.attacks.external.ExternalAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range.
    """

    label = "apgd_t"
    starts = 1

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.APGD`` on the targeted ratio, the likeliest target first."""
        targets = min(TARGETS, count_classes(problem, images) - 1)
        return _apgd()(model, None, targets, **self._settings(seed))


CONFIDENT = 10.0
"""Margin in logits from which the gradient of torch's cross-entropy in float32 is off by a thousandth and more."""


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Torch's cross-entropy, and ours of the same value where the classifier is confident."""
    usual = nn.functional.cross_entropy(logits, labels, reduction="none")
    confident = losses.margin(logits.detach(), labels) < -CONFIDENT
    return torch.where(confident, losses.cross_entropy(logits, labels), usual)


@cache
def _apgd() -> Any:
    """``torchattacks.APGD`` on a loss that is given, target by target and start by start, for images not yet fooled."""
    import torchattacks

    class LossAPGD(torchattacks.APGD):
        def __init__(
            self, model: nn.Module, loss: losses.DecisionLoss | None, targets: int | None = None, **settings: Any
        ) -> None:
            super().__init__(model, loss="dlr", **settings)
            self.dlr_loss = loss or self._targeted_ratio
            self._ranks = [None] if targets is None else range(2, targets + 2)

        def perturb(
            self, images: Tensor, labels: Tensor, best_loss: bool = False, cheap: bool = True
        ) -> tuple[Any, Any]:
            if best_loss:
                return _highest(self, images, labels)
            adversarial = images.clone()
            standing = self.get_logits(images).argmax(1) == labels
            torch.manual_seed(self.seed)
            for rank in self._ranks:
                for _ in range(self.n_restarts):
                    rows = standing.nonzero().flatten()
                    if len(rows) == 0:
                        return standing, adversarial
                    if rank is not None:
                        self._target = self.get_logits(images[rows]).sort(dim=1).indices[:, -rank]
                    self.model.rows = rows
                    _, kept, _, found = self.attack_single_run(images[rows], labels[rows])
                    fooled = rows[kept == 0]
                    standing[fooled] = False
                    adversarial[fooled] = found[kept == 0]
            return standing, adversarial

        def attack_single_run(self, images: Tensor, labels: Tensor) -> Any:
            if self.norm == "L1":
                return search_in_l1(self, images, labels)
            return super().attack_single_run(images, labels)

        def _targeted_ratio(self, logits: Tensor, labels: Tensor) -> Tensor:
            return _targeted_ratio(logits, labels, self._target)

    return LossAPGD


def _highest(attack: Any, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The highest loss of all starts of an attack, and its images."""
    highest, best = torch.full_like(images[:, 0, 0, 0], -torch.inf), images
    for _ in range(attack.n_restarts):
        found, _, loss, _ = attack.attack_single_run(images, labels)
        higher = loss > highest
        best = torch.where(higher[:, None, None, None], found, best)
        highest = torch.where(higher, loss, highest)
    return highest, best


def _targeted_ratio(logits: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """The targeted difference-of-logits ratio."""
    rows = torch.arange(len(logits), device=logits.device)
    margin = logits[rows, target] - logits[rows, labels]
    if logits.shape[1] < 4:
        return margin
    ordered = logits.sort(dim=1).values
    return margin / (ordered[:, -1] - 0.5 * ordered[:, -3] - 0.5 * ordered[:, -4] + 1e-12)
