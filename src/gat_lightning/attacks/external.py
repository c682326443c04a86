"""Adapter for the attacks of torchattacks."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from gat_lightning.attacks.base import Attack, AttackSettings
from gat_lightning.attacks.norms import L2, Linf, Norm, within
from gat_lightning.attacks.problem import ClassifierProblem, Problem, as_decision
from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_int


class ExternalSettings(AttackSettings, total=False):
    """The arguments of :class:`ExternalAttack`, which a subclass passes on to it."""

    seed: int | None


class ExternalAttack(Attack):
    """An attack that torchattacks runs, on the decision of a classifier.

    It sees the classifier as logits of images in [0, 1]. Its random numbers follow from ``seed`` and the batch, not
    from torch's generators, which are as before afterwards, like all else (see :class:`Attack`). What it draws belongs
    to a place in the batch, so its results depend on the batch size unless it is deterministic. A sample that it
    leaves non-finite or outside the ball counts as not fooled and comes back as it was.

    Args:
        seed: of torchattacks, the same for every batch, at least 0; ``None`` to draw one from each batch's generator.
        **settings: ``norm`` (one of :attr:`norms`), ``eps`` and ``mode`` of
            :class:`~gat_lightning.attacks.base.Attack`.

    Raises:
        SettingError: an argument is out of its range, or the attack is not defined in that norm.
    """

    needs_decision = True
    """Whether logits and labels are needed, not only a loss."""
    norms: ClassVar[tuple[type[Norm], ...]] = (Linf, L2)
    stops_at_boundary: ClassVar[bool] = False
    """Whether the attack ends at the decision boundary, however far beyond it an image could be moved."""
    label: ClassVar[str]
    """Name of the attack, without its norm."""

    def __init__(self, *, seed: int | None = None, **settings: Unpack[AttackSettings]) -> None:
        super().__init__(**settings)
        self.seed = check_int("seed", seed, 0, 2**63 - 1, also=(None,))

    @property
    def name(self) -> str:
        """:attr:`label`, with the norm where it is not the usual one."""
        return self._named(self.label)

    @abstractmethod
    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """The torchattacks object.

        Args:
            model: images ``[B, C, H, W]`` -> logits ``[B, K]``; it has no modes, the guard sees to those.
            problem: what is attacked.
            images: the batch.
            seed: of its random numbers.
        """

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """What torchattacks makes of the images."""
        decision = as_decision(problem, self.label)
        model = LogitsModel(decision.logits, images)
        attack = self.build(model, decision, images, self.draw_seed(generator))
        adversarial = attack(images, decision.labels).detach()
        self.zero_gradient = model.zero_gradient
        return self.kept(images, adversarial)

    def draw_seed(self, generator: BatchGenerator) -> int:
        """``seed``, or one that the generator draws."""
        return int(generator.integers(2**31)[0]) if self.seed is None else self.seed

    def kept(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """``adversarial``, with the clean image where it is not finite or not within the ball."""
        inside = within(adversarial - images, self.norm, self.eps)
        return torch.where(inside[:, None, None, None], adversarial, images).clamp(0, 1)


class LogitsModel(nn.Module):
    """What torchattacks is given as the model.

    The classifier is no sub-module of it: torchattacks switches the modes of its model, which is the guard's business.
    The parameter tells torchattacks the device.

    Attributes:
        rows: the images of the batch that torchattacks works on, long ``[n]``; all if None.
        zero_gradient: which images had a gradient of exactly zero at some step, bool ``[B]``; None before any gradient.
    """

    def __init__(self, logits: Callable[[Tensor], Tensor], images: Tensor) -> None:
        super().__init__()
        self._logits = logits
        self.place = nn.Parameter(images.new_empty(0), requires_grad=False)
        self.rows: Tensor | None = None
        self.zero_gradient: Tensor | None = None
        self._size = len(images)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, K]``, K at least 2."""
        if images.requires_grad:
            images = images.view_as(images)
            images.register_hook(self._note)
        logits = self._logits(images)
        if logits.dim() != 2 or logits.shape[1] < 2:
            raise ValueError(
                f"An attack on a decision needs logits [B, K] of at least 2 classes, got {list(logits.shape)};"
                " BinaryProblem(model, labels) makes two of one logit"
            )
        return logits.to(images.dtype)  # of half precision, where torchattacks computes in that of its images

    def _note(self, gradient: Tensor) -> None:
        rows = torch.arange(self._size, device=gradient.device) if self.rows is None else self.rows
        if len(rows) != len(gradient):  # a part of the images, which is not known
            return
        if self.zero_gradient is None:
            self.zero_gradient = torch.zeros(self._size, dtype=torch.bool, device=gradient.device)
        self.zero_gradient[rows] |= ~gradient.flatten(1).any(1)


@torch.no_grad()
def count_classes(problem: ClassifierProblem, images: Tensor) -> int:
    """Number K of classes between which the classifier decides."""
    return problem.logits(images[:2]).shape[1]
