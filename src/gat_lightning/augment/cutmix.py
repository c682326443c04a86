"""CutMix: replaces a rectangle of an image with that of another image."""

import torch
from torch import Tensor

from gat_lightning.augment.mixing import PairMixing
from gat_lightning.randomness import BatchGenerator


class CutMix(PairMixing):
    """Pastes a rectangle of another image; labels count by area.

    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features" (ICCV 2019),
    section 3.1: the rectangle has the image's proportions and covers 1 - λ of it, around a uniform centre, cut off at
    the border; λ is then taken anew from the area that was pasted. Here each image has its own λ and rectangle.

    Args:
        base: augmentation of the single images before.
        alpha: λ follows Beta(α, α); above 0, 1 in the paper.
        probability: with which an image is mixed at all, in (0, 1]; in the paper 0.5 for CIFAR and 1 for ImageNet.

    Raises:
        SettingError: ``alpha`` or ``probability`` is out of its range.
    """

    def mix(self, images: Tensor, others: Tensor, share: Tensor, generator: BatchGenerator) -> tuple[Tensor, Tensor]:
        """Images with a rectangle of the others, and the part of the area that is left of them."""
        height, width = images.shape[2:]
        centre = generator.uniform((2,), images.device)
        side = (1 - share).clamp(min=0).sqrt()
        rows = _span(centre[:, 0], side, height)
        columns = _span(centre[:, 1], side, width)
        pasted = rows[:, :, None] & columns[:, None, :]
        left = 1 - pasted.flatten(1).to(images.dtype).mean(1)
        return torch.where(pasted[:, None], others, images), left


def _span(centre: Tensor, side: Tensor, size: int) -> Tensor:
    """Which of ``size`` places lie in an interval around a centre, both as parts of the size: bool ``[B, size]``."""
    middle, half = (centre * size).floor(), (side * size).floor() / 2
    start, stop = (middle - half).ceil()[:, None], (middle + half).ceil()[:, None]
    place = torch.arange(size, device=centre.device)
    return (place >= start) & (place < stop)
