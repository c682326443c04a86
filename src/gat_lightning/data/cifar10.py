"""CIFAR-10 from its official files, downloaded if necessary."""

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets

from gat_lightning.data.archives import OfficialArchive
from gat_lightning.data.array_base import ArrayDataModule, LabelledImages, Splits
from gat_lightning.data.base import Macro
from gat_lightning.info import DataInfo, LabelInfo

OFFICIAL = datasets.CIFAR10
"""Names, address and MD5 sums of the official files."""

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

MACRO: Macro = {"vehicle": (0, 1, 8, 9), "animal": (2, 3, 4, 5, 6, 7)}

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

PAGE = "the CIFAR-10 page of the University of Toronto (https://www.cs.toronto.edu/~kriz/cifar.html)"


class CIFAR10(ArrayDataModule):
    """50,000 training and 10,000 test images of 3x32x32 pixels, 10 classes.

    ``root`` holds ``cifar-10-batches-py/`` or ``cifar-10-python.tar.gz``, which is then unpacked in the same folder.
    Files are checked against the official MD5 sums before they are unpacked or unpickled.

    Args:
        root: folder of the files.
        download: whether to download the archive if neither exists.
        macro: as for :class:`~gat_lightning.data.base.ImageDataModule`; vehicles and animals.
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.
    """

    def __init__(
        self, *, root: str | os.PathLike[str], download: bool = True, macro: Macro | None = MACRO, **settings: Any
    ) -> None:
        super().__init__(macro=macro, **settings)
        self.root, self.download = Path(root).expanduser(), download

    @property
    def _official(self) -> OfficialArchive:
        return OfficialArchive("CIFAR-10", OFFICIAL, PAGE, "170 MB", self.root)

    def describe(self) -> DataInfo:
        """Names, shape and the published statistics; reads no file."""
        return DataInfo("CIFAR-10", (3, 32, 32), MEAN, STD, {"class": LabelInfo(CLASSES)})

    def prepare_data(self) -> None:
        """Download and unpack what is missing; called by the trainer in one process of each node.

        Raises:
            UserError: no files and no download, or a damaged archive.
        """
        self._official.prepare([name for name, _ in OFFICIAL.train_list + OFFICIAL.test_list], self.download)

    def load(self) -> Splits:
        """All images, uint8 ``[N, 3, 32, 32]``. Downloads the files if they are missing."""
        self.prepare_data()
        return Splits(train=self._read(OFFICIAL.train_list), test=self._read(OFFICIAL.test_list))

    def _read(self, batches: list[list[str]]) -> LabelledImages:
        images, labels = [], []
        for name, md5 in batches:
            content = self._official.content(name, md5)
            with warnings.catch_warnings():
                # NumPy 2.4.0 to 2.4.4 warn about the dtypes of pickles as old as the official ones.
                warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
                entry = pickle.loads(content, encoding="latin1")
            images.append(torch.from_numpy(entry["data"]))
            labels += entry["labels"]
        return LabelledImages(torch.cat(images).view(-1, 3, 32, 32), {"class": torch.tensor(labels)})
