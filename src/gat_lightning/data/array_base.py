"""Base of the data sets that are kept as arrays in memory."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gat_lightning.data.base import ImageDataModule
from gat_lightning.data.dataset import ArrayDataset, home_of
from gat_lightning.data.splits import hold_out


@dataclass
class LabelledImages:
    """Images uint8 ``[N, C, H, W]``, in any memory layout, and labels ``{name: tensor [N]}``, class indices long."""

    images: Tensor
    labels: dict[str, Tensor]


@dataclass
class Splits:
    """What a data set comes with. Validation images are taken from ``train``."""

    train: LabelledImages
    test: LabelledImages


class ArrayDataModule(ImageDataModule):
    """Images in memory, of several classes: the label ``class``. Both draws of images are class-balanced.

    Args:
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.
    """

    @abstractmethod
    def load(self) -> Splits:
        """Read the images and the label ``class``.

        Raises:
            UserError: the files are missing or damaged; says which, and what to do.
        """

    def setup(self, stage: str | None = None) -> None:
        """Read the data and split them; a second call does nothing."""
        if self._datasets:
            return
        info, splits = self.info, self.load()
        train, test = splits.train.images, splits.test.images
        assert train.shape[1:] == test.shape[1:] == info.image, "describe() and load() differ in the shape of an image"
        classes = info.labels["class"].classes
        labels = self._with_macro(splits.train.labels, classes)
        training, validation = hold_out(labels["class"], self.val_fraction, self.fraction, self.seed)
        del splits.train  # so that images left out by the fraction are freed
        used = torch.cat([training, validation]).sort().values
        if len(used) < len(train):
            train, labels = train[used], {name: label[used] for name, label in labels.items()}
            training, validation = torch.searchsorted(used, training), torch.searchsorted(used, validation)
        home = home_of(train.nbytes + test.nbytes, self._device(), self.workers)
        train, test = train.to(home), test.to(home)
        self._datasets = {
            "train": ArrayDataset(train, labels, training),
            "val": ArrayDataset(train, labels, validation),
            "test": ArrayDataset(test, self._with_macro(splits.test.labels, classes), torch.arange(len(test))),
        }
