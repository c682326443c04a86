"""STL-10 from its official files, downloaded if necessary."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision import datasets

from gat_lightning.batch import MISSING
from gat_lightning.data.archives import OfficialArchive
from gat_lightning.data.array_base import ArrayDataModule, LabelledImages, Splits
from gat_lightning.data.base import Macro
from gat_lightning.data.dataset import ArrayDataset, SplitDataset, home_of
from gat_lightning.data.unlabeled import OWN
from gat_lightning.info import DataInfo, LabelInfo

log = logging.getLogger(__name__)

OFFICIAL = datasets.STL10
"""Names, address and MD5 sums of the official files."""

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

MACRO: Macro = {"vehicle": (0, 2, 8, 9), "animal": (1, 3, 4, 5, 6, 7)}
"""By STL-10's own order of classes, which is not CIFAR-10's."""

MEAN, STD = (0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713)

PAGE = "the STL-10 page of Stanford University (https://cs.stanford.edu/~acoates/stl10/)"


class STL10(ArrayDataModule):
    """5,000 training and 8,000 test images of 3x96x96 pixels, 10 classes; and 100,000 unlabelled images.

    ``root`` holds ``stl10_binary/`` or ``stl10_binary.tar.gz``, which is then unpacked in the same folder. Files are
    checked against the official MD5 sums.

    Args:
        root: folder of the files.
        download: whether to download the archive if neither exists.
        unlabeled: as for :class:`~gat_lightning.data.base.ImageDataModule`; ``own`` for the 100,000 unlabelled images,
            which need 2.8 GB of memory. ``True`` mixes these among the training images in their natural share instead;
            only self-supervised tasks learn from them then. They are never held out for validation.
        macro: as for :class:`~gat_lightning.data.base.ImageDataModule`; vehicles and animals.
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        download: bool = True,
        unlabeled: str | os.PathLike[str] | bool | None = None,
        macro: Macro | None = MACRO,
        **settings: Any,
    ) -> None:
        self._among_training = unlabeled is True
        super().__init__(macro=macro, unlabeled=None if self._among_training else unlabeled, **settings)
        self.root, self.download = Path(root).expanduser(), download
        if self._among_training:
            log.info(
                "data.unlabeled=true mixes the unlabelled images among the others, for self-supervised tasks alone;"
                " data.unlabeled=own trains the target on them too"
            )

    @property
    def _official(self) -> OfficialArchive:
        return OfficialArchive("STL-10", OFFICIAL, PAGE, "2.6 GB", self.root)

    @property
    def _sums(self) -> dict[str, str]:
        return dict([*OFFICIAL.train_list, *OFFICIAL.test_list])

    def describe(self) -> DataInfo:
        """Names, shape and the statistics of the training images; reads no file."""
        return DataInfo("STL-10", (3, 96, 96), MEAN, STD, {"class": LabelInfo(CLASSES)})

    def prepare_data(self) -> None:
        """Download and unpack what is missing; called by the trainer in one process of each node.

        Raises:
            UserError: no files and no download, or a damaged archive.
        """
        self._official.prepare(
            [name for name in self._sums if self._needs_unlabeled or "unlabeled" not in name], self.download
        )

    @property
    def _needs_unlabeled(self) -> bool:
        return self._among_training or self.unlabeled == OWN

    def own_unlabeled(self) -> SplitDataset:
        """The 100,000 unlabelled images."""
        images = self._images("unlabeled_X.bin")
        images = images.to(home_of(images.nbytes, self._device(), self.workers))
        return ArrayDataset(images, {}, torch.arange(len(images)))

    def load(self) -> Splits:
        """All images, uint8 ``[N, 3, 96, 96]``. Downloads the files if they are missing."""
        self.prepare_data()
        train = LabelledImages(self._images("train_X.bin"), {"class": self._classes("train_y.bin")})
        if self._among_training:
            others = self._images("unlabeled_X.bin")
            classes = torch.cat([train.labels["class"], torch.full((len(others),), MISSING)])
            train = LabelledImages(torch.cat([train.images, others]), {"class": classes})
        return Splits(train, LabelledImages(self._images("test_X.bin"), {"class": self._classes("test_y.bin")}))

    def _bytes(self, name: str) -> Tensor:
        return torch.frombuffer(self._official.content(name, self._sums[name]), dtype=torch.uint8)

    def _images(self, name: str) -> Tensor:
        return self._bytes(name).view(-1, 3, 96, 96).transpose(2, 3)  # the files go down each column

    def _classes(self, name: str) -> Tensor:
        return self._bytes(name).long() - 1
