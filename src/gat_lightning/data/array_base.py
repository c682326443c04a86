"""Base class of data sets that are kept as arrays in memory."""

import os
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gat_lightning.batch import missing_labels
from gat_lightning.data.base import ImageDataModule
from gat_lightning.data.contrast import warn_of_low_contrast
from gat_lightning.data.dataset import ArrayDataset, JoinedDataset, SplitDataset, home_of
from gat_lightning.data.duplicates import Place
from gat_lightning.data.extra import check_extra, read_extra
from gat_lightning.data.splits import hold_out
from gat_lightning.errors import UserError
from gat_lightning.validate import check_real


@dataclass
class LabelledImages:
    """Images uint8 ``[N, C, H, W]``, in any memory layout, and labels ``{name: tensor [N]}``, class indices long."""

    images: Tensor
    labels: dict[str, Tensor]


@dataclass
class Splits:
    """Training and test images of a data set. Validation images are taken from ``train``."""

    train: LabelledImages
    test: LabelledImages


class ArrayDataModule(ImageDataModule):
    """Data set in memory with the label ``class``. Its splits are class-balanced.

    Extra images are added to the training images only. They do not affect the splits, ``fraction`` and the
    normalisation. They have a class and its macro class, and no other labels. They are read when training starts, not
    for an evaluation.

    Args:
        extra: file of extra training images, see :func:`~gat_lightning.data.extra.read_extra`; ``None`` for none.
        extra_fraction: fraction of extra images in each joined training batch, in (0, 1).
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.

    Raises:
        UserError: a setting is out of range.
    """

    def __init__(
        self, *, extra: str | os.PathLike[str] | None = None, extra_fraction: float = 0.5, **settings: Any
    ) -> None:
        super().__init__(**settings)
        check_real("extra_fraction", extra_fraction, 0, 1, closed="neither", example=0.5)
        self.extra = None if extra is None else Path(extra).expanduser()
        self.extra_fraction = extra_fraction
        if self.extra is not None:
            check_extra(self.extra)
            if self.unlabeled is not None:
                raise UserError(
                    "Both data.extra and data.unlabeled name further training images: leave one of them out"
                )
            self._further_fraction = "extra_fraction"

    @abstractmethod
    def load(self) -> Splits:
        """Read the images and the label ``class``.

        Raises:
            UserError: files are missing or damaged; the message names them and the remedy.
        """

    def setup(self, stage: str | None = None) -> None:
        """Read the data and create the splits; a second call does nothing.

        Raises:
            UserError: files are missing or damaged, or the images are not uint8.
        """
        if self._datasets:
            return
        info, splits = self.info, self.load()
        train, test = splits.train.images, splits.test.images
        for images in (train, test):
            if images.dtype != torch.uint8:
                raise UserError(
                    f"{type(self).__name__}.load() returns images of {images.dtype}; they must be torch.uint8, grey"
                    " levels 0 to 255"
                )
        assert train.shape[1:] == test.shape[1:] == info.image, "describe() and load() differ in the shape of an image"
        classes = info.labels["class"].classes
        labels = self._with_macro(splits.train.labels, classes)
        training, validation, rest = hold_out(labels["class"], self.val_fraction, self.fraction, self.seed)
        parts = self._used_parts({"train": training, "val": validation, "rest": rest})
        warn_of_low_contrast(train, info.name)
        del splits.train  # so that images left out by the fraction are freed
        self._kept = used = torch.cat(list(parts.values())).sort().values
        if len(used) < len(train):
            train, labels = train[used], {name: label[used] for name, label in labels.items()}
            parts = {name: torch.searchsorted(used, part) for name, part in parts.items()}
        home = home_of(train.nbytes + test.nbytes, self._device(), self.workers)
        train, test = train.to(home), test.to(home)
        self._datasets = {
            **{name: ArrayDataset(train, labels, part) for name, part in parts.items()},
            "test": ArrayDataset(test, self._with_macro(splits.test.labels, classes), torch.arange(len(test))),
        }

    def _compared(self) -> dict[str, SplitDataset]:
        """The splits, and the extra images."""
        if self.extra is None:
            return self._datasets
        assert self._with_further is not None
        return {**self._datasets, "extra": self._with_further.second}

    def picture_name(self, place: Place) -> str:
        """The number of an image in the data set's training or test images, or in the file of extra images."""
        if place.split == "extra":
            return f"extra image {place.position}"
        row = int(self._datasets[place.split].rows[place.position])
        return f"test image {row}" if place.split == "test" else f"training image {self._kept[row]}"

    @cached_property
    def _with_further(self) -> JoinedDataset | None:
        """The split ``train`` followed by the extra images, or by the unlabelled ones."""
        if self.extra is None:
            return super()._with_further
        train, info = self.split("train"), self.info
        images, classes = read_extra(self.extra, info)
        known = self._with_macro({"class": classes}, info.labels["class"].classes)
        labels = {name: known.get(name, missing_labels(label, len(images))) for name, label in train.labels.items()}
        images = images.to(home_of(images.nbytes, self._device(), self.workers))
        return JoinedDataset(train, ArrayDataset(images, {}, torch.arange(len(images))), labels)
