"""Adversarial images as they are stored: in uint8 or float16, within the ball after rounding."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gat_lightning.attacks import Attack
from gat_lightning.attacks.norms import Linf, Norm, within
from gat_lightning.attacks.precision import rounded_towards

TYPES = (np.dtype(np.uint8), np.dtype(np.float16))
"""Types in which images are stored, the smallest first."""

_GREY = 255
_SLACK = 1e-3
"""Part of a grey level by which float32 may miss a whole one."""


def rounded_images(images: Tensor, adversarial: Tensor, attack: Attack) -> dict[str, NDArray[np.generic]]:
    """The adversarial images ``[B, C, H, W]`` of an attack in each of :data:`TYPES`, by its name."""
    return {dtype.name: rounded(images, adversarial, attack.norm, attack.eps, dtype).cpu().numpy() for dtype in TYPES}


@torch.no_grad()
def rounded(images: Tensor, adversarial: Tensor, norm: Norm, eps: float, dtype: np.dtype[np.generic]) -> Tensor:
    """Adversarial images to the nearest value of a type; where that leaves the ball, to the nearest one inwards.

    In L-infinity that is decided for each pixel, in other norms for each image. Images that are no values of the type
    themselves may be left too far away, in uint8 by half a grey level.

    Args:
        images: clean, ``[B, C, H, W]`` in [0, 1].
        adversarial: likewise.
        norm: of the ball.
        eps: radius.
        dtype: one of :data:`TYPES`.
    """
    images, adversarial = images.float(), adversarial.float()
    if dtype == TYPES[0]:
        nearest = (adversarial * _GREY).round()
        steps = (adversarial - images) * _GREY
        inwards = (images * _GREY).round() + (steps + _SLACK * steps.sign()).trunc()
        nearest, inwards = (each.clamp(0, _GREY).to(torch.uint8) for each in (nearest, inwards))
    else:
        nearest = adversarial.half()
        inwards = rounded_towards(images, adversarial, torch.float16)
    change = pixels(nearest) - images
    if isinstance(norm, Linf):
        inside = within(change.reshape(-1, 1), norm, eps).view_as(change)
    else:
        inside = within(change, norm, eps)[:, None, None, None]
    return torch.where(inside, nearest, inwards)


def stored(images: Tensor, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Clean images as they are stored."""
    return ((images * _GREY).round().to(torch.uint8) if dtype == TYPES[0] else images.half()).cpu().numpy()


def pixels(found: Tensor) -> Tensor:
    """Stored images as float32 in [0, 1]."""
    return found.float() / _GREY if found.dtype == torch.uint8 else found.float()
