"""Standard augmentation: random crops and flips of small natural images, affine transformations of X-rays."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from gat_lightning.augment.affine import RandomAffine
from gat_lightning.augment.base import Augmentation
from gat_lightning.validate import check_int


class RandomCropFlip(Augmentation):
    """Pad with zeros, crop back to size at a random place, then mirror left to right with probability 1/2.

    Args:
        padding: pixels added on each side, 0 for no crop.
        flip: whether images may be mirrored.

    Raises:
        SettingError: ``padding`` is negative or not a whole number.

    Shape:
        images ``[B, C, H, W]`` -> ``[B, C, H, W]``, values in [0, 1] stay in [0, 1]; drawn values ``[N, 3]``: rows and
        columns that the crop starts from the padded corner, each 0 to 2 * padding, and whether to mirror, 0 or 1.
    """

    def __init__(self, padding: int, flip: bool) -> None:
        self.padding, self.flip = check_int("padding", padding, 0), flip

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """Row, column and mirror of every sample, long ``[samples, 3]``."""
        corner = torch.randint(2 * self.padding + 1, (samples, 2), generator=generator)
        mirror = torch.randint(2 if self.flip else 1, (samples, 1), generator=generator)
        return torch.cat([corner, mirror], 1)

    def __call__(self, images: Tensor, values: Tensor) -> Tensor:
        """Crop and mirror all images at once, by one gather."""
        batch, channels, height, width = images.shape
        device = images.device
        top, left, mirror = values.unbind(1)
        rows = top[:, None] + torch.arange(height, device=device)
        columns = torch.arange(width, device=device).expand(batch, width)
        columns = left[:, None] + torch.where(mirror[:, None] == 1, columns.flip(1), columns)
        padded = pad(images, (self.padding,) * 4)
        return padded[
            torch.arange(batch, device=device)[:, None, None, None],
            torch.arange(channels, device=device)[None, :, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]


def standard_augmentation(padding: int, flip: bool, affine: bool) -> Augmentation:
    """The augmentation of the paper's authors: crops and flips, or for X-rays rotation, translation and scaling.

    Args:
        padding: pixels of zero padding on each side before the crop.
        flip: whether images may be mirrored.
        affine: whether to transform images with :class:`RandomAffine` instead.

    Raises:
        SettingError: ``padding`` is negative or not a whole number.
    """
    return RandomAffine() if affine else RandomCropFlip(padding, flip)
