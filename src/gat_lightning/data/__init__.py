"""Data sets: Lightning data modules that yield `Batch` objects with images in [0, 1]."""

from gat_lightning.data.array_base import ArrayDataModule, LabelledImages, Splits
from gat_lightning.data.arrays import Arrays
from gat_lightning.data.base import ImageDataModule, Macro
from gat_lightning.data.chexpert import CheXpert
from gat_lightning.data.cifar10 import CIFAR10
from gat_lightning.data.digits import Digits
from gat_lightning.data.images import Images
from gat_lightning.data.nih import NIH
from gat_lightning.data.robin import ROBIN
from gat_lightning.data.stl10 import STL10
from gat_lightning.info import DataInfo, LabelInfo

__all__ = [
    "CIFAR10",
    "NIH",
    "ROBIN",
    "STL10",
    "ArrayDataModule",
    "Arrays",
    "CheXpert",
    "DataInfo",
    "Digits",
    "ImageDataModule",
    "Images",
    "LabelInfo",
    "LabelledImages",
    "Macro",
    "Splits",
]
