"""User-provided images in one .npz file."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from torch import Tensor

from gat_lightning.batch import unit_range
from gat_lightning.data.array_base import ArrayDataModule, LabelledImages, Splits
from gat_lightning.data.array_checks import check_image_dtype, check_image_range, check_label_dtype
from gat_lightning.data.npz import check_member
from gat_lightning.data.statistics import channel_statistics
from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import DataInfo, LabelInfo

DEPTH = "depth"
KEYS = ("train_images", "train_labels", "test_images", "test_labels")


class Arrays(ArrayDataModule):
    """Images from an .npz file with ``train_images``, ``train_labels``, ``test_images`` and ``test_labels``.

    Images are uint8, ``[N, H, W, C]`` with 1 to 4 channels or ``[N, H, W]``; labels are integers ``[N]`` from 0 to K-1.
    The normalisation is that of the file's training images.

    The file may also have depth maps, ``train_depth`` and ``test_depth``: floats ``[N, H, W]`` of any scale. Each map
    is shifted and scaled to [0, 1]; a map with a non-finite value is missing. They are the label ``depth``, for
    ``task=depth task.depth.teacher=null``.

    Args:
        path: the file.
        classes: names of the K classes, in the order of their indices; by default their numbers.
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.
    """

    def __init__(
        self, *, path: str | os.PathLike[str] | None, classes: Sequence[str] | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        if path is None:
            raise SettingError("path", None, f"an .npz file with the arrays {', '.join(KEYS)}")
        self.path = Path(path).expanduser()
        self.classes = None if classes is None else tuple(map(str, classes))
        self._unused: Splits | None = None

    def describe(self) -> DataInfo:
        """Shape, classes and statistics. Reads the file, whose content :meth:`load` then returns."""
        self._unused = splits = self._read()
        images, labels = splits.train.images, splits.train.labels["class"]
        classes = self.classes or tuple(map(str, range(int(labels.max()) + 1)))
        mean, std = channel_statistics(images)
        _, channels, height, width = images.shape
        infos = {"class": LabelInfo(classes)}
        if DEPTH in splits.train.labels:
            infos[DEPTH] = LabelInfo((), "dense")
        return DataInfo(self.path.name, (channels, height, width), mean, std, infos)

    def load(self) -> Splits:
        """All images, uint8 ``[N, C, H, W]``, in the file's memory layout."""
        splits, self._unused = self._unused or self._read(), None
        return splits

    def _read(self) -> Splits:
        if not self.path.is_file():
            raise UserError(f"data.path: there is no file {self.path.absolute()}")
        with ExitStack() as stack:
            with self._reading():
                source = stack.enter_context(self.path.open("rb"))
                file = np.load(source, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise UserError(f"{self.path} holds a single array; it must be an .npz with {', '.join(KEYS)}")
            stack.enter_context(file)
            self._check_keys(file.files)
            images = {split: self._images(file, f"{split}_images") for split in ("train", "test")}
            labels = {split: self._labels(file, f"{split}_labels") for split in ("train", "test")}
            depth = {split: self._depth(file, f"{split}_{DEPTH}", images[split]) for split in ("train", "test")}
        self._check(images, labels)
        if len(depth["train"]) != len(depth["test"]):
            raise UserError(f"{self.path}: train_depth and test_depth come together; one of them is missing")
        train, test = (
            LabelledImages(images[split], {"class": labels[split], **depth[split]}) for split in ("train", "test")
        )
        return Splits(train, test)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, UserError):
            raise
        except Exception as error:  # NumPy lets through whatever a damaged file provokes in zipfile, zlib or tokenize
            reason = str(error).split(". ")[0]  # what NumPy says after it is how to load the file unsafely
            raise UserError(
                f"{self.path} cannot be read (damaged, or not an .npz of plain arrays): {reason}. Write it again with"
                f" numpy.savez(FILE, {', '.join(f'{key}=...' for key in KEYS)})"
            ) from error

    def _check_keys(self, found: Sequence[str]) -> None:
        missing = [key for key in KEYS if key not in found]
        if missing:
            raise UserError(
                f"{self.path} has no array {', '.join(missing)}; it has {', '.join(found) or 'none at all'}. It must be"
                f" an .npz with {', '.join(KEYS)}"
            )

    def _array(self, file: NpzFile, key: str) -> np.ndarray:
        with self._reading():
            assert file.zip is not None
            check_member(file.zip, key)
            array: np.ndarray = file[key]
            return array

    def _images(self, file: NpzFile, key: str) -> Tensor:
        array, where = self._array(file, key), f"{self.path}: {key}"
        check_image_dtype(array, where)
        if array.ndim == 4 and array.shape[3] > 4 >= array.shape[1]:
            raise UserError(
                f"{where} has shape {list(array.shape)}, which looks like [N, C, H, W]; it must be"
                " [N, H, W, C]: save array.transpose(0, 2, 3, 1)"
            )
        if array.ndim not in (3, 4) or 0 in array.shape or (array.ndim == 4 and array.shape[3] > 4):
            raise UserError(
                f"{where} has shape {list(array.shape)}; it must be [N, H, W, C] with 1 to 4 channels, or"
                " [N, H, W], and not empty"
            )
        check_image_range(array, where)
        images = torch.from_numpy(array)
        return images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)

    def _labels(self, file: NpzFile, key: str) -> Tensor:
        array, where = self._array(file, key), f"{self.path}: {key}"
        check_label_dtype(array, where)
        if len(array) and array.min() < 0:
            raise UserError(f"{where} has the negative label {array.min()}; classes are numbered from 0")
        return torch.from_numpy(array.astype(np.int64))

    def _depth(self, file: NpzFile, key: str, images: Tensor) -> dict[str, Tensor]:
        """Depth maps float32 ``[N, 1, H, W]`` by the label's name; empty if the file has none."""
        if key not in file:
            return {}
        array = self._array(file, key)
        wanted = [len(images), *images.shape[2:]]
        if array.dtype.kind not in "fiu" or list(array.shape) != wanted:
            raise UserError(
                f"{self.path}: {key} has dtype {array.dtype} and shape {list(array.shape)}; it must be numbers"
                f" {wanted}, one depth map per image and of its size"
            )
        return {DEPTH: unit_range(torch.from_numpy(array.astype(np.float32)).unsqueeze(1))}

    def _check(self, images: dict[str, Tensor], labels: dict[str, Tensor]) -> None:
        for split in ("train", "test"):
            if len(images[split]) != len(labels[split]):
                raise UserError(
                    f"{self.path}: {len(images[split])} {split}_images but {len(labels[split])} {split}_labels"
                )
        if images["train"].shape[1:] != images["test"].shape[1:]:
            shapes = " and ".join(str(list(images[split].shape[1:])) for split in ("train", "test"))
            raise UserError(
                f"{self.path}: training and test images differ in shape [C, H, W]: {shapes}; save them alike"
            )
        present, largest = labels["train"].unique(), int(labels["train"].max())
        classes = len(present) if self.classes is None else len(self.classes)
        if self.classes is not None and largest >= classes:
            raise UserError(f"{self.path}: train_labels go up to {largest}, but data.classes names {classes} classes")
        if len(present) < max(classes, largest + 1):
            absent = min(set(range(len(present) + 1)) - set(present.tolist()))
            raise UserError(
                f"{self.path}: no training image has label {absent}; train_labels must be 0 to K-1 with every class"
                " present"
            )
        if classes < 2:
            raise UserError(f"{self.path}: all training images are of one class; there must be at least two")
        if int(labels["test"].max()) >= classes:
            raise UserError(
                f"{self.path}: test_labels go up to {int(labels['test'].max())}, but train_labels only to"
                f" {classes - 1}; number the classes alike in both, every one with training images"
            )
