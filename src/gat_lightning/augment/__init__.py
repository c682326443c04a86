"""Augmentations: random changes of training images, made on the device, batch by batch."""

from gat_lightning.augment.affine import RandomAffine
from gat_lightning.augment.base import Augmentation, EpochAugmenter, Identity
from gat_lightning.augment.crop_flip import RandomCropFlip

__all__ = ["Augmentation", "EpochAugmenter", "Identity", "RandomAffine", "RandomCropFlip"]
