"""Steepest ascent with projection, the loop that FGSM, BIM, PGD and MIM share."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from typing_extensions import Unpack

from gat_lightning.attacks.aim import AIMS, TargetedProblem
from gat_lightning.attacks.base import Attack, AttackSettings
from gat_lightning.attacks.budget import parse_budget
from gat_lightning.attacks.losses import LOSSES
from gat_lightning.attacks.problem import LossProblem, Problem, as_decision
from gat_lightning.errors import SettingError
from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_int, check_option

_SHOWN = 20
"""Most classes that a message lists."""


class IterativeSettings(AttackSettings, total=False):
    """The arguments of :class:`IterativeAttack`, which a subclass passes on to it."""

    step_size: float | str | None
    steps: int


class AscentSettings(IterativeSettings, total=False):
    """Those, and the loss, for attacks on a loss that is not prescribed."""

    loss: str | None
    eot: int
    targeted: str | int | None


class IterativeAttack(Attack):
    """Projected steepest ascent from the images themselves.

    Each of the ``steps`` costs one forward and one input gradient.

    Args:
        step_size: length of a step in ``norm``, above 0; ``None`` for the attack's own default.
        steps: number of steps, at least 1.
        loss: what is increased: ``None`` for the problem's loss, or ``margin`` or ``dlr`` of its logits, for problems
            that are a decision between classes (``dlr``: between at least 3).
        eot: number of gradients to average at each step (expectation over transformation), for models that draw random
            numbers; at least 1.
        targeted: the class that images are moved towards: ``least_likely``, the least likely wrong class of the image
            before the attack; ``random``, a wrong class drawn for each image; or a class, by its number or, after
            :meth:`name_classes`, by its name, to which its own images are not moved. None: away from the true class.
        **settings: ``norm``, ``eps`` and ``mode`` of :class:`~gat_lightning.attacks.base.Attack`.

    Attributes:
        targets: of a targeted attack, the class that each image of the last call was moved towards, long ``[B]``; -1
            for an image that was left as it is. None for others.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        step_size: float | str | None = None,
        steps: int = 10,
        loss: str | None = None,
        eot: int = 1,
        targeted: str | int | None = None,
        **settings: Unpack[AttackSettings],
    ) -> None:
        super().__init__(**settings)
        self.loss = check_option("loss", loss, LOSSES, also=(None,))
        self.steps = check_int("steps", steps)
        self.eot = check_int("eot", eot)
        self.targeted = targeted if isinstance(targeted, str) else check_int("targeted", targeted, 0, also=(None,))
        self.needs_decision = targeted is not None
        self.targets: Tensor | None = None
        self.step_size = (
            self._default_step_size()
            if step_size is None
            else parse_budget(step_size, "step_size", 0, closed="neither", also=(None,))
        )

    def _named(self, base: str) -> str:
        """``base``, with the norm, the loss and the target where they are not the usual ones."""
        aim = f"to{self.targeted}" if isinstance(self.targeted, int) else self.targeted
        return "-".join([super()._named(base), *(str(part) for part in (self.loss, aim) if part is not None)])

    def _default_step_size(self) -> float:
        return self.eps / self.steps

    def name_classes(self, classes: Sequence[str]) -> None:
        """Tell a targeted attack the classes, so that :attr:`targeted` may be one's name.

        Args:
            classes: their names, in the order of their numbers.

        Raises:
            SettingError: ``targeted`` is none of them.
        """
        if self.targeted is None or self.targeted in AIMS:
            return
        if self.targeted in classes:
            self.targeted = list(classes).index(str(self.targeted))
        if not (isinstance(self.targeted, int) and self.targeted < len(classes)):
            shown = ", ".join(classes) if len(classes) <= _SHOWN else f"a class from 0 to {len(classes) - 1}"
            raise SettingError("targeted", self.targeted, f"one of: {', '.join(AIMS)}, {shown}", also=(None,))

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The attack itself; a targeted one sees the problem of :class:`~gat_lightning.attacks.aim.TargetedProblem`."""
        self.targets = None
        if self.targeted is None:
            return self.ascended(problem, images, generator)
        aim = TargetedProblem(as_decision(problem, self.name), images, self.targeted, generator)
        self.targets, moved = aim.targets, aim.targets >= 0
        adversarial = self.ascended(aim, images, generator)
        if self.zero_gradient is not None:
            self.zero_gradient &= moved
        return torch.where(moved[:, None, None, None], adversarial, images)

    def ascended(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Ascends from the images, or from what the problem prescribes."""
        return self._ascend(problem, images, self._start(problem, images, generator))

    def _start(self, problem: Problem, images: Tensor, generator: BatchGenerator, kind: str = "none") -> Tensor:
        """A starting point of a kind of :data:`~gat_lightning.attacks.norms.STARTS`, or the problem's."""
        start = self.norm.random(images, self.eps, kind, generator)
        gaussian: Tensor | None = getattr(problem, "gaussian", None)
        if gaussian is not None:
            other = self.norm.random(images, self.eps, "gaussian", generator)
            start = torch.where(gaussian[:, None, None, None], other, start)
        return (images + start).clamp(0, 1)

    def _ascend(self, problem: Problem, images: Tensor, start: Tensor) -> Tensor:
        """The point reached from ``start`` in the ball around ``images`` after all steps."""
        problem, adversarial, ascent = self.with_loss(problem), start, None
        for _ in range(self.steps):
            ascent = self._accumulate(self._gradient(problem, adversarial), ascent)
            moved = adversarial + self.step_size * self.norm.steepest(ascent, adversarial)
            adversarial = (images + self.norm.project(moved - images, self.eps)).clamp(0, 1)
        return adversarial

    def with_loss(self, problem: Problem) -> Problem:
        """The problem with :attr:`loss` in place of its own.

        Raises:
            ValueError: it has only a loss.
        """
        if self.loss is None:
            return problem
        decision_loss = getattr(problem, "decision_loss", None)
        if decision_loss is None:
            raise ValueError(
                f"loss={self.loss} is defined for a decision between classes, and the problem has only a loss of its"
                " own: leave it out, or attack ClassifierProblem(model, labels), or BinaryProblem for one logit."
            )
        return LossProblem(partial(decision_loss, loss=LOSSES[self.loss]), problem.module)

    def _gradient(self, problem: Problem, images: Tensor) -> Tensor:
        loss, gradient = _loss_and_gradient(problem, images)
        for _ in range(self.eot - 1):
            gradient = gradient + _loss_and_gradient(problem, images)[1]
        gradient = gradient / self.eot if self.eot > 1 else gradient
        zero = ~gradient.flatten(1).any(1)
        # DLR is constant where the class is the third or less, which is a success; it and the margin are then above 0.
        self._count(zero if self.loss is None else zero & (loss <= 0))
        return gradient

    def _accumulate(self, gradient: Tensor, previous: Tensor | None) -> Tensor:
        """What to ascend along, from this step's gradient and what the previous step ascended along."""
        return gradient


def input_gradient(problem: Problem, images: Tensor) -> Tensor:
    """Gradient of each sample's loss with respect to its image, ``[B, C, H, W]``.

    Raises:
        ValueError: the loss is not one value per sample, or does not depend on the images.
    """
    return _loss_and_gradient(problem, images)[1]


def _loss_and_gradient(problem: Problem, images: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, ``[B]``, without a graph, and its gradient."""
    images = images.detach().requires_grad_()
    loss = problem.loss(images)
    if loss.shape != images.shape[:1]:
        raise ValueError(
            f"The attacked loss must be one value per sample, [{len(images)}], got {list(loss.shape)}; "
            "losses of torch give that with reduction='none'"
        )
    (gradient,) = torch.autograd.grad(loss.sum(), images, allow_unused=True) if loss.requires_grad else (None,)
    if gradient is None:
        raise ValueError(
            "The attacked loss has no gradient with respect to the images; is it computed without gradients "
            "(torch.no_grad, .detach(), argmax), or from other images?"
        )
    return loss.detach(), gradient
