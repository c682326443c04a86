"""Base class of attacks: checks of settings and images, the guard around the model, and random numbers."""

from abc import ABC, abstractmethod
from typing import ClassVar, TypedDict

import torch
from torch import Tensor, nn

from gat_lightning.attacks.budget import parse_radius
from gat_lightning.attacks.guard import MODES, undisturbed
from gat_lightning.attacks.norms import Linf, Norm, as_norm
from gat_lightning.attacks.precision import HALF, in_precision, rounded_towards
from gat_lightning.attacks.problem import ClassifierProblem, LossFunction, LossProblem, Problem
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.validate import check_option

CLASSIFIER = (
    "to attack a classifier, write attack(ClassifierProblem(model, labels), images), or BinaryProblem for one logit"
)
"""How to attack a classifier, to follow "... ;"."""

TOLERANCE = 1e-6
"""How far outside [0, 1] a pixel may be by rounding; it is then clamped."""


class AttackSettings(TypedDict, total=False):
    """The arguments of :class:`Attack`, which a subclass passes on to it."""

    norm: str | Norm
    eps: float | str
    mode: str


class Attack(ABC):
    """Turns images into adversarial images that increase a loss, within ``eps`` of the images and within [0, 1].

    Calling the attack leaves the attacked module as it was (see :func:`~gat_lightning.attacks.guard.undisturbed`) and
    works under ``torch.no_grad``. A new attack implements :meth:`perturb` and :attr:`name`.

    Args:
        norm: ``Linf``, ``L2``, ``L1``, or a :class:`~gat_lightning.attacks.norms.Norm`.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``. None is 8/255
            in L-infinity; other norms have no default.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Attributes:
        needs_decision: whether it attacks a decision between classes, and a loss alone does not do.
        zero_gradient: which images of the last call had a gradient of exactly zero at some step, bool ``[B]``; None for
            an attack that takes no gradient, and for C&W, whose loss has none once an image is misclassified.
        norms: norms in which it is defined; empty for all.

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
        ValueError: ``norm`` is not L-infinity, and there is no ``eps``.
    """

    needs_decision: bool = False
    norms: ClassVar[tuple[type[Norm], ...]] = ()

    def __init__(self, norm: str | Norm = "Linf", eps: float | str | None = None, mode: str = "eval") -> None:
        self.norm = as_norm(norm)
        if self.norms:
            check_option("norm", self.norm.name, [each.name for each in self.norms])
        self.eps = parse_radius(eps, self.norm)
        self.mode = check_option("mode", mode, MODES)
        self.zero_gradient: Tensor | None = None
        self._calls = 0

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the attack in metrics, such as ``pgd20`` (L-infinity) or ``pgd20-l2``."""

    def check_images(self, channels: int, height: int, width: int) -> None:  # noqa: B027
        """Called before work starts, with the shape of the images.

        Raises:
            ValueError: the attack is not defined for such images.
        """

    @abstractmethod
    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The attack itself, called inside the guard, with gradients enabled.

        Args:
            problem: what to attack.
            images: ``[B, C, H, W]`` in [0, 1], float32 or float64, B at least 1; no graph is attached. Not to be
                changed in place.
            generator: the only source of random numbers.

        Returns:
            Adversarial images in the ball and in [0, 1], without a graph.
        """

    def __call__(
        self,
        problem: Problem | LossFunction,
        images: Tensor,
        generator: BatchGenerator | None = None,
        *,
        in_range: bool = False,
    ) -> Tensor:
        """Adversarial images for ``images``.

        Args:
            problem: the loss to increase: a :class:`~gat_lightning.attacks.problem.Problem`, or a callable from images
                to the loss of each sample. Behind a bare function no module can be guarded; an ``nn.Module`` can.
            images: floating point ``[B, C, H, W]`` in [0, 1]. Those of half precision are perturbed in float32, and
                the result is rounded towards the images, so that it is in the ball.
            generator: draws for this batch. Without one, the n-th call of this object draws from a generator keyed by
                ``torch.initial_seed()`` and n: calls differ, runs with the same ``torch.manual_seed`` agree, and the
                global generator is not touched.
            in_range: whether the images are known to be in [0, 1]. They are then not looked at, which would wait for
                a GPU to finish all work before; a value outside is clamped.

        Returns:
            A new tensor like ``images`` (shape, dtype, device), without a graph.

        Raises:
            ValueError: the images are not floating point, not 4-D or outside [0, 1]; they and the labels differ in
                number, or labels are no classes; the generator is made for another number of samples, or labels are
                given in its place; the loss is not one value per sample or does not depend on the images; or
                ``torch.inference_mode`` is on.
        """
        if isinstance(generator, Tensor):
            raise ValueError(f"An attack takes no labels of its own; {CLASSIFIER}")
        problem = _as_problem(problem)
        clean = _checked(images, in_range)
        if generator is None:
            generator = BatchGenerator(Shard.whole(len(clean)), torch.initial_seed(), self.name, self._calls)
            self._calls += 1
        elif generator.shard.size != len(clean):
            raise ValueError(
                f"The generator draws for {generator.shard.size} samples, but there are {len(clean)} images"
            )
        self.zero_gradient = None
        if self.eps == 0 or clean.numel() == 0:
            return clean
        if isinstance(problem, ClassifierProblem):
            problem.check_labels(len(clean))
        with undisturbed(problem.module, self.mode, clean.device):
            if clean.dtype not in HALF:
                return self.perturb(problem, clean, generator)
            rounded = in_precision(problem, clean.dtype)
            return rounded_towards(clean, self.perturb(rounded, clean.float(), generator))

    def _count(self, zero: Tensor | None) -> None:
        """Add the images with a zero gradient, bool ``[B]``, to :attr:`zero_gradient`; nothing waits for the device."""
        if zero is not None:
            self.zero_gradient = zero if self.zero_gradient is None else self.zero_gradient | zero

    def _named(self, base: str) -> str:
        """``base``, with the norm where it is not the usual one."""
        return base if isinstance(self.norm, Linf) else f"{base}-{self.norm.name.lower()}"


def _as_problem(problem: Problem | LossFunction) -> Problem:
    if isinstance(problem, Tensor):
        raise ValueError(f"The problem comes before the images; {CLASSIFIER}")
    if isinstance(problem, Problem):
        return problem
    if isinstance(problem, nn.Module):
        return LossProblem(_losses_of(problem), problem)
    return LossProblem(problem)


def _losses_of(module: nn.Module) -> LossFunction:
    """The module as a loss function; an error where it returns something else, such as logits."""

    def loss(images: Tensor) -> Tensor:
        found = module(images)
        if not isinstance(found, Tensor) or found.shape != images.shape[:1]:
            shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"The attacked module must return the loss of each sample, [{len(images)}], got {shape}; {CLASSIFIER}"
            )
        return found

    return loss


@torch.no_grad()
def _checked(images: Tensor, in_range: bool) -> Tensor:
    """A clamped copy of ``images``, whose values are looked at unless they are known to be in range."""
    if not images.is_floating_point() or images.dim() != 4:
        raise ValueError(
            f"An attack needs floating point images [B, C, H, W], got {images.dtype} of shape {list(images.shape)}"
        )
    if images.numel() and not in_range:
        low, high = torch.stack(images.aminmax()).tolist()
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
            raise ValueError(
                f"An attack needs images in [0, 1], got values from {low:.6g} to {high:.6g}; "
                "normalisation belongs in the model, as its first layer"
            )
    return images.clamp(0, 1)
