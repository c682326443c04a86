"""Augmentations: random changes of training images, on the device and in batches."""

from gat_lightning.augment.affine import RandomAffine
from gat_lightning.augment.base import Augmentation, EpochAugmenter, Identity
from gat_lightning.augment.cutmix import CutMix
from gat_lightning.augment.maxup import MaxUp
from gat_lightning.augment.mixing import PairMixing
from gat_lightning.augment.mixup import Mixup
from gat_lightning.augment.standard import RandomCropFlip, standard_augmentation

__all__ = [
    "Augmentation",
    "CutMix",
    "EpochAugmenter",
    "Identity",
    "MaxUp",
    "Mixup",
    "PairMixing",
    "RandomAffine",
    "RandomCropFlip",
    "standard_augmentation",
]
