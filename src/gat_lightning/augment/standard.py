"""The standard augmentation, which depends on the kind of images."""

from __future__ import annotations

from gat_lightning.augment.affine import RandomAffine
from gat_lightning.augment.base import Augmentation
from gat_lightning.augment.crop_flip import RandomCropFlip


def standard_augmentation(padding: int, flip: bool, affine: bool) -> Augmentation:
    """Crop and flip for natural images; rotation, translation and scaling for X-rays, as the paper's authors did.

    Args:
        padding: pixels of zero padding on each side before the crop.
        flip: whether images may be mirrored.
        affine: whether it is the latter.

    Raises:
        UserError: ``padding`` is negative or not a whole number.
    """
    return RandomAffine() if affine else RandomCropFlip(padding, flip)
