"""The geometry of an attack: projections on balls, steepest-ascent steps and random starts.

Tensors are ``[B, C, H, W]`` and each sample is treated alone. Nothing here waits for the device.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_option, check_real

STARTS = ("none", "uniform", "gaussian")
"""Kinds of starting points."""

GAUSSIAN_SCALE = 0.001
"""Standard deviation of a gaussian start, in pixel units (TRADES: Zhang et al., 2019, algorithm 1)."""


class Norm(ABC):
    """A norm on images, and what an attack in its ball needs."""

    name: ClassVar[str]

    @abstractmethod
    def project(self, delta: Tensor, eps: float) -> Tensor:
        """The point nearest to ``delta`` (Euclidean distance) in the ball of radius ``eps``, per sample.

        A sample inside the ball comes back unchanged, bit for bit.
        """

    @abstractmethod
    def steepest(self, gradient: Tensor, images: Tensor) -> Tensor:
        """The step of norm 1 along which a loss with this ``gradient`` at ``images`` grows fastest.

        A sample whose gradient is zero does not move.
        """

    @abstractmethod
    def uniform(self, images: Tensor, eps: float, generator: BatchGenerator) -> Tensor:
        """A perturbation of each image drawn uniformly from the volume of the ball."""

    def random(self, images: Tensor, eps: float, start: str, generator: BatchGenerator) -> Tensor:
        """A starting perturbation in the ball of radius ``eps``.

        Args:
            images: ``[B, C, H, W]``; shape, dtype and device of the result.
            eps: radius in pixel units, at least 0.
            start: ``none`` (zeros), ``uniform`` (in the ball's volume) or ``gaussian`` (independent normal values of
                standard deviation :data:`GAUSSIAN_SCALE`, then projected, for every norm, as TRADES does).
            generator: what draws.
        """
        if start == "none":
            return torch.zeros_like(images)
        if start == "uniform":
            return self.uniform(images, eps, generator)
        normal = generator.normal(images.shape[1:], images.device).to(images.dtype)
        return self.project(GAUSSIAN_SCALE * normal, eps)


@dataclass(frozen=True)
class Linf(Norm):
    """Largest change of any pixel."""

    name = "Linf"

    def project(self, delta: Tensor, eps: float) -> Tensor:
        """Clamps every pixel to [-eps, eps]."""
        return delta.clamp(-eps, eps)

    def steepest(self, gradient: Tensor, images: Tensor) -> Tensor:
        """The sign of the gradient (Goodfellow et al., 2015, section 4)."""
        return gradient.sign()

    def uniform(self, images: Tensor, eps: float, generator: BatchGenerator) -> Tensor:
        """Independent uniform values in [-eps, eps]."""
        return (2 * generator.uniform(images.shape[1:], images.device).to(images.dtype) - 1) * eps


@dataclass(frozen=True)
class L2(Norm):
    """Euclidean length of the change."""

    name = "L2"

    def project(self, delta: Tensor, eps: float) -> Tensor:
        """Shortens a sample to length ``eps`` if it is longer."""
        length = _length(delta)
        return delta * torch.where(length > eps, eps / length, 1)

    def steepest(self, gradient: Tensor, images: Tensor) -> Tensor:
        """The gradient divided by its length."""
        # Scaled first, because the squares of a small gradient (1e-20, of a confident model) underflow.
        largest = gradient.abs().amax((1, 2, 3), keepdim=True)
        scaled = gradient / torch.where(largest > 0, largest, 1)
        return scaled / _length(scaled).clamp(min=1)

    def uniform(self, images: Tensor, eps: float, generator: BatchGenerator) -> Tensor:
        """A uniform direction (a normalised normal vector) at the radius eps u^(1/n), u uniform in [0, 1)."""
        direction = self.steepest(generator.normal(images.shape[1:], images.device).to(images.dtype), images)
        radius = generator.uniform((1, 1, 1), images.device).to(images.dtype) ** (1 / math.prod(images.shape[1:]))
        return eps * radius * direction


@dataclass(frozen=True)
class L1(Norm):
    """Sum of the changes of all pixels.

    Args:
        top_fraction: the part of the pixels that one step changes, in (0, 1] (one pixel at least); 1 % is what Tramer
            and Boneh (2019) take for CIFAR-10.

    Raises:
        SettingError: ``top_fraction`` is outside (0, 1].
    """

    name = "L1"
    top_fraction: float = 0.01

    def __post_init__(self) -> None:
        check_real("top_fraction", self.top_fraction, 0, 1, closed="right", example=0.01)

    def project(self, delta: Tensor, eps: float) -> Tensor:
        """Soft threshold at the level that leaves a sum of ``eps`` (Duchi et al., 2008, figure 1), in float64."""
        flat = delta.flatten(1).double()
        size = flat.abs()
        ordered = size.sort(1, descending=True).values
        surplus = ordered.cumsum(1) - eps
        rank = torch.arange(1, flat.shape[1] + 1, device=flat.device)
        kept = (ordered * rank > surplus).sum(1, keepdim=True).clamp(min=1)
        threshold = surplus.gather(1, kept - 1) / kept
        shrunk = (flat.sign() * (size - threshold).clamp(min=0)).to(delta.dtype)
        inside = size.sum(1, keepdim=True) <= eps
        return torch.where(inside, delta.flatten(1), shrunk).view_as(delta)

    def steepest(self, gradient: Tensor, images: Tensor) -> Tensor:
        """The sparse step of SLIDE (Tramer and Boneh, 2019, section 3): equal changes of the top pixels by |gradient|.

        Pixels that are at 0 or 1 and whose gradient points out of the box take no part. Pixels tied with the last of
        the top do.
        """
        blocked = torch.where(gradient < 0, images <= 0, images >= 1)
        useful = gradient.masked_fill(blocked, 0).flatten(1)
        size = useful.abs()
        count = max(1, round(self.top_fraction * size.shape[1]))
        step = torch.where(size >= size.topk(count, 1).values[:, -1:], useful.sign(), 0)
        return (step / step.abs().sum(1, keepdim=True).clamp(min=1)).view_as(gradient)

    def uniform(self, images: Tensor, eps: float, generator: BatchGenerator) -> Tensor:
        """The point x / (e + sum |x|), with Laplace x and exponential e (Barthe et al., 2005, theorem 1)."""
        signed = 2 * generator.uniform(images.shape[1:], images.device).to(images.dtype) - 1
        # A draw of exactly 0, one in 2^24, would become an infinite Laplace value.
        laplace = -signed.sign() * torch.log1p(-signed.abs().clamp(max=1 - 2**-24))
        exponential = -torch.log1p(-generator.uniform((1, 1, 1), images.device).to(images.dtype))
        return eps * laplace / (exponential + laplace.abs().sum((1, 2, 3), keepdim=True))


ORDERS: dict[type[Norm], float] = {Linf: math.inf, L2: 2, L1: 1}
"""Order of the vector norm."""


def sizes(delta: Tensor, norm: Norm) -> Tensor:
    """Size of each perturbation ``[B, ...]`` in a norm, ``[B]``."""
    return torch.linalg.vector_norm(delta.flatten(1), ORDERS[type(norm)], dim=1)


def within(delta: Tensor, norm: Norm, eps: float) -> Tensor:
    """Which perturbations ``[B, ...]`` are in the ball, up to rounding errors; bool ``[B]``."""
    return sizes(delta, norm) <= eps * (1 + 1e-5) + 1e-6


NORMS: dict[str, type[Norm]] = {norm.name: norm for norm in (Linf, L2, L1)}


def as_norm(norm: str | Norm) -> Norm:
    """``norm`` itself, or the one of that name (``Linf``, ``L2``, ``L1``).

    Raises:
        SettingError: no norm has that name.
    """
    return norm if isinstance(norm, Norm) else NORMS[check_option("norm", norm, NORMS)]()


def _length(delta: Tensor) -> Tensor:
    return torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True)
