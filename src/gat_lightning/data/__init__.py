"""Data sets: Lightning data modules that yield `Batch` objects with images in [0, 1]."""

from gat_lightning.data.arrays import Arrays
from gat_lightning.data.base import ImageDataModule, LabelledImages, Macro, Splits
from gat_lightning.data.cifar10 import CIFAR10
from gat_lightning.data.digits import Digits
from gat_lightning.data.images import Images
from gat_lightning.data.info import DataInfo, LabelInfo

__all__ = [
    "CIFAR10",
    "Arrays",
    "DataInfo",
    "Digits",
    "ImageDataModule",
    "Images",
    "LabelInfo",
    "LabelledImages",
    "Macro",
    "Splits",
]
