"""CIFAR-10 from its official files, downloaded where there is a network."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import shutil
import tarfile
import tempfile
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from gat_lightning.data.base import ImageDataModule, LabelledImages, Macro, Splits
from gat_lightning.data.info import DataInfo, LabelInfo
from gat_lightning.errors import UserError

log = logging.getLogger(__name__)

OFFICIAL = datasets.CIFAR10
"""Names, address and MD5 sums of the official files."""

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

MACRO: Macro = {"vehicle": (0, 1, 8, 9), "animal": (2, 3, 4, 5, 6, 7)}

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

_TIMEOUT = 10
"""Seconds without an answer after which a download fails."""


class CIFAR10(ImageDataModule):
    """50,000 training and 10,000 test images of 3x32x32 pixels, 10 classes.

    ``root`` holds ``cifar-10-batches-py/`` or ``cifar-10-python.tar.gz``, which is then unpacked beside itself. Files
    are checked against the official MD5 sums before they are unpacked or unpickled.

    Args:
        root: folder of the files.
        download: whether to fetch the archive if neither is there.
        macro: as for :class:`~gat_lightning.data.base.ImageDataModule`; vehicles and animals.
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.
    """

    def __init__(
        self, *, root: str | os.PathLike[str], download: bool = True, macro: Macro | None = MACRO, **settings: Any
    ) -> None:
        super().__init__(macro=macro, **settings)
        self.root, self.download = Path(root).expanduser(), download

    @property
    def _folder(self) -> Path:
        return self.root / OFFICIAL.base_folder

    @property
    def _archive(self) -> Path:
        return self.root / OFFICIAL.filename

    def describe(self) -> DataInfo:
        """Names, shape and the published statistics; reads no file."""
        return DataInfo("CIFAR-10", (3, 32, 32), MEAN, STD, {"class": LabelInfo(CLASSES)})

    def prepare_data(self) -> None:
        """Download and unpack what is missing; called by the trainer in one process of each node.

        Raises:
            UserError: no files and no download, or a damaged archive.
        """
        if all((self._folder / name).is_file() for name, _ in OFFICIAL.train_list + OFFICIAL.test_list):
            return
        if not self._archive.is_file():
            if not self.download:
                raise UserError(self._how_to_get("CIFAR-10 is not there and data.download is false"))
            try:
                self._fetch()
            except (OSError, EOFError) as error:
                raise UserError(
                    self._how_to_get(f"CIFAR-10 is not there and cannot be downloaded ({error})")
                ) from error
        if not check_integrity(self._archive, OFFICIAL.tgz_md5):
            raise UserError(
                f"{self._archive.absolute()} is damaged or not the official file (its MD5 sum is not"
                f" {OFFICIAL.tgz_md5}); delete it, then start again or put the official one there"
            )
        with tarfile.open(self._archive) as archive:
            archive.extractall(self.root, filter="data")

    def _fetch(self) -> None:
        log.info("Downloading %s to %s (170 MB)", OFFICIAL.url, self._archive.absolute())
        self.root.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(OFFICIAL.url, timeout=_TIMEOUT) as source:
            handle, partial = tempfile.mkstemp(suffix=".part", dir=self.root)
            try:
                with os.fdopen(handle, "wb") as file:
                    shutil.copyfileobj(source, file)
                Path(partial).replace(self._archive)
            finally:
                Path(partial).unlink(missing_ok=True)

    def _how_to_get(self, what: str) -> str:
        return (
            f"{what}. Put {OFFICIAL.filename} from the CIFAR-10 page of the University of Toronto"
            f" (https://www.cs.toronto.edu/~kriz/cifar.html) at {self._archive.absolute()}, or the unpacked files in"
            f" {self._folder.absolute()}/, or set data.root to where they are; data=digits needs no files"
        )

    def load(self) -> Splits:
        """All images, uint8 ``[N, 3, 32, 32]``; fetches the files first if nobody has."""
        self.prepare_data()
        return Splits(train=self._read(OFFICIAL.train_list), test=self._read(OFFICIAL.test_list))

    def _read(self, batches: list[list[str]]) -> LabelledImages:
        images, labels = [], []
        for name, md5 in batches:
            path = self._folder / name
            content = path.read_bytes()
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
                raise UserError(
                    f"{path.absolute()} is damaged or not the official file (its MD5 sum is not {md5}); delete"
                    f" {self._folder.absolute()}, then start again: {OFFICIAL.filename} in {self.root.absolute()} is"
                    " unpacked, or downloaded if it is not there"
                )
            with warnings.catch_warnings():
                # NumPy 2.4.0 to 2.4.4 warn about the dtypes of pickles as old as the official ones.
                warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
                entry = pickle.loads(content, encoding="latin1")
            images.append(torch.from_numpy(entry["data"]))
            labels += entry["labels"]
        return LabelledImages(torch.cat(images).view(-1, 3, 32, 32), {"class": torch.tensor(labels)})
