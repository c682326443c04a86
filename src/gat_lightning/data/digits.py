"""The 8x8 digits bundled with scikit-learn."""

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from gat_lightning.data.array_base import ArrayDataModule, LabelledImages, Splits
from gat_lightning.data.base import Macro
from gat_lightning.data.splits import stratified
from gat_lightning.data.statistics import channel_statistics
from gat_lightning.info import DataInfo, LabelInfo

MACRO: Macro = {"loop": (0, 6, 8, 9), "no_loop": (1, 2, 3, 4, 5, 7)}
"""Digits drawn with a closed loop, and the others."""

TEST_IMAGES = 360


class Digits(ArrayDataModule):
    """1,797 grey images of 8x8 pixels, 10 classes; scikit-learn's 17 grey levels are scaled to 0 to 255.

    There is no official test set: 360 class-balanced images are used for testing, the same for every seed.

    Args:
        macro: as for :class:`~gat_lightning.data.base.ImageDataModule`; digits with and without a loop.
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.
    """

    def __init__(self, *, macro: Macro | None = MACRO, **settings: Any) -> None:
        super().__init__(macro=macro, **settings)

    def describe(self) -> DataInfo:
        """Names, shape and statistics of the training images."""
        mean, std = channel_statistics(self.load().train.images)
        labels = {"class": LabelInfo(tuple("0123456789"))}
        return DataInfo("digits", (1, 8, 8), mean, std, labels, "a 6 cannot be told from a 9")

    def load(self) -> Splits:
        """All images, uint8 ``[N, 1, 8, 8]``."""
        digits = load_digits()
        images = torch.from_numpy(np.rint(digits.images * (255 / 16)).astype(np.uint8))[:, None]
        labels = torch.from_numpy(digits.target).long()
        test, train = stratified(labels, TEST_IMAGES, "digits", "test")
        return Splits(
            train=LabelledImages(images[train], {"class": labels[train]}),
            test=LabelledImages(images[test], {"class": labels[test]}),
        )
