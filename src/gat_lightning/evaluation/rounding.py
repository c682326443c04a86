"""Adversarial images as they are stored: in uint8 or float16, within the ball after rounding."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gat_lightning.attacks import Attack
from gat_lightning.attacks.norms import Linf, Norm, within

TYPES = (np.dtype(np.uint8), np.dtype(np.float16))
"""Types in which images are stored, the smallest first."""

MOVES = (0.0, 0.01, 0.05, 0.2)
"""How far an image that would be decided differently may be moved on, in units of eps."""

_GREY = 255
_SLACK = 1e-3
"""Part of a grey level by which float32 may miss a whole one."""


def rounded_images(
    images: Tensor,
    adversarial: Tensor,
    attack: Attack,
    kept: Callable[[Tensor], Tensor],
    slope: Callable[[], Tensor],
) -> dict[str, NDArray[np.generic]]:
    """The adversarial images of an attack in each of :data:`TYPES`, by its name.

    An image that is decided differently after rounding is rounded again, each pixel in the direction in which the loss
    grows. Where that does not help, it is first moved on along the gradient, by as little of :data:`MOVES` as does.

    Args:
        images: clean, ``[B, C, H, W]`` in [0, 1].
        adversarial: likewise.
        attack: whose ball they are in.
        kept: which images ``[B, C, H, W]`` are decided as before rounding, bool ``[B]``.
        slope: returns the gradient of the loss, ``[B, C, H, W]``.
    """
    made = {}
    for dtype in TYPES:
        found = rounded(images, adversarial, attack.norm, attack.eps, dtype)
        if not kept(pixels(found)).all():
            found = _uphill(found, images, adversarial, attack, kept, slope())
        made[dtype.name] = found.cpu().numpy()
    return made


@torch.no_grad()
def _uphill(
    found: Tensor, images: Tensor, adversarial: Tensor, attack: Attack, kept: Callable[[Tensor], Tensor], slope: Tensor
) -> Tensor:
    """Rounded images, those that are decided differently rounded again along the slope of the loss."""
    dtype, lost = np.dtype(str(found.dtype).removeprefix("torch.")), ~kept(pixels(found))
    ahead = attack.eps * attack.norm.steepest(slope, adversarial)
    for length in MOVES:
        moved = (images + attack.norm.project(adversarial + length * ahead - images, attack.eps)).clamp(0, 1)
        again = rounded(images, moved, attack.norm, attack.eps, dtype, slope)
        lost &= within(pixels(again) - images, attack.norm, attack.eps)
        found = torch.where(lost[:, None, None, None], again, found)
        lost = ~kept(pixels(found))
        if not lost.any():
            break
    return found


@torch.no_grad()
def rounded(
    images: Tensor,
    adversarial: Tensor,
    norm: Norm,
    eps: float,
    dtype: np.dtype[np.generic],
    slope: Tensor | None = None,
) -> Tensor:
    """Adversarial images to the nearest value of a type; where that leaves the ball, to the nearest one inwards.

    In L-infinity that is decided for each pixel, in other norms for each image. Images that are no values of the type
    themselves may be left too far away, in uint8 by half a grey level.

    Args:
        images: clean, ``[B, C, H, W]`` in [0, 1].
        adversarial: likewise.
        norm: of the ball.
        eps: radius.
        dtype: one of :data:`TYPES`.
        slope: the direction to round in, ``[B, C, H, W]``; None for the nearest value.
    """
    images, adversarial = images.float(), adversarial.float()
    low, high = _neighbours(adversarial, dtype)
    up = pixels(high) - adversarial < adversarial - pixels(low) if slope is None else slope > 0
    wanted = torch.where(up, high, low)
    inwards = torch.where(adversarial >= images, low, high)
    change = pixels(wanted) - images
    if isinstance(norm, Linf):
        inside = within(change.reshape(-1, 1), norm, eps).view_as(change)
    else:
        inside = within(change, norm, eps)[:, None, None, None]
    return torch.where(inside, wanted, inwards)


def stored(images: Tensor, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Clean images as they are stored."""
    return ((images * _GREY).round().to(torch.uint8) if dtype == TYPES[0] else images.half()).cpu().numpy()


def pixels(found: Tensor) -> Tensor:
    """Stored images as float32 in [0, 1]."""
    return found.float() / _GREY if found.dtype == torch.uint8 else found.float()


def _neighbours(values: Tensor, dtype: np.dtype[np.generic]) -> tuple[Tensor, Tensor]:
    """The values of a type on both sides of float32 values in [0, 1]; twice the same where a value is of the type."""
    if dtype == TYPES[0]:
        grey = values * _GREY
        low, high = (grey + _SLACK).floor(), (grey - _SLACK).ceil()
        return low.to(torch.uint8), high.to(torch.uint8)
    nearest = values.half()
    bits = nearest.view(torch.int16)  # numbers of one sign are in the order of their bits
    low, high = bits - (nearest.float() > values).to(bits), bits + (nearest.float() < values).to(bits)
    return low.view(torch.float16), high.view(torch.float16)
