"""User-provided pictures in one folder per class."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gat_lightning.data.array_base import ArrayDataModule, LabelledImages, Splits
from gat_lightning.data.contrast import check_ranges, warn_of_low_contrast
from gat_lightning.data.dataset import ArrayDataset, home_of
from gat_lightning.data.duplicates import Place
from gat_lightning.data.folders import PictureFiles, expected_layout, find_pictures
from gat_lightning.data.listing import shorten
from gat_lightning.data.memory import check_memory
from gat_lightning.data.pictures import decode_pictures
from gat_lightning.data.records import ON_ERROR
from gat_lightning.data.settings import check_channels, height_and_width
from gat_lightning.data.splits import hold_out, stratified
from gat_lightning.data.statistics import channel_statistics
from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.validate import check_option, check_real

log = logging.getLogger(__name__)

SAMPLE = 1000
"""Most pictures that the normalisation is computed from."""

# More pictures than this are read with a progress bar.
_LONG = 2000


class Images(ArrayDataModule):
    """Pictures of any size in ``root/train/CLASS`` and ``root/test/CLASS``, or in ``root/CLASS`` alone.

    Without a test folder, test pictures are drawn from each class, the same for every ``seed``. Pictures are decoded
    once and kept as one array in memory; ``fraction`` applies first, so only the pictures in use are read. Resizing and
    cropping are described at :func:`~gat_lightning.data.pictures.decode_picture`. The normalisation is that of a fixed
    sample of at most 1,000 pictures out of those for training and validation.

    Args:
        root: the folder.
        size: length in pixels to which the shorter side is resized before the centre crop; or ``[height, width]``.
        channels: 1 for grey images, 3 for colour.
        classes: names of the class folders to use, in the order of their indices; all, sorted, by default.
        on_error: treatment of unreadable pictures: ``stop`` or ``skip``; both count and name them.
        test_fraction: fraction of each class used for testing if there is no test folder, in (0, 1).
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.

    Raises:
        UserError: a setting is out of range. :attr:`info` checks the folders, :meth:`setup` the pictures.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None,
        size: int | Sequence[int] = 64,
        channels: int = 3,
        classes: Sequence[str] | None = None,
        on_error: str = "stop",
        test_fraction: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if root is None:
            raise SettingError("root", None, f"a folder with {expected_layout('FOLDER')}")
        check_option("on_error", on_error, ON_ERROR)
        check_real("test_fraction", test_fraction, 0, 1, closed="neither", example=0.2)
        if classes is not None and (isinstance(classes, str) or not isinstance(classes, Sequence)):
            raise SettingError("classes", classes, "a list of the class folders' names", also=(None,))
        self.root = Path(root).expanduser()
        self.size, self.channels = height_and_width(size), check_channels(channels)
        self.classes = None if classes is None else list(classes)
        self.on_error, self.test_fraction = on_error, test_fraction

    @cached_property
    def _files(self) -> PictureFiles:
        return find_pictures(self.root, self.classes, self.test_fraction)

    @cached_property
    def _parts(self) -> dict[str, Tensor]:
        """Files of each split, including unreadable ones: positions, long, ascending."""
        test, train = (mask.nonzero().flatten() for mask in (self._files.test, ~self._files.test))
        training, validation, rest = hold_out(self._files.labels[train], self.val_fraction, self.fraction, self.seed)
        parts = {"train": train[training], "val": train[validation], "test": test, "rest": train[rest]}
        return self._used_parts(parts)

    def describe(self) -> DataInfo:
        """Names and statistics; lists the folders and reads at most 1,000 pictures.

        Raises:
            UserError: the folders do not fit, the pictures do not fit into memory, their range is unknown, or none of
                the sample can be read.
        """
        files = self._files
        self._check_memory(sum(map(len, self._parts.values())))
        used = torch.cat([self._parts["train"], self._parts["val"]]).sort().values
        size = min(SAMPLE, len(used))
        sample = used[stratified(files.labels[used], size, "images", "statistics")[0]]
        paths = [files.paths[i] for i in sample.tolist()]
        check_ranges(paths, str(self.root.absolute()))
        images, unreadable = decode_pictures(paths, self.size, self.channels)
        if len(unreadable) == size:
            raise UserError(self._unreadable(sample, unreadable))
        images = images[_readable(size, unreadable)] if unreadable else images
        warn_of_low_contrast(images, str(self.root.absolute()))
        mean, std = channel_statistics(images)
        image = (self.channels, *self.size)
        return DataInfo(self.root.resolve().name, image, mean, std, {"class": LabelInfo(files.classes)})

    def setup(self, stage: str | None = None) -> None:
        """Read the pictures of the splits; a second call does nothing.

        Raises:
            UserError: the pictures do not fit into memory, some are unreadable, or too few remain without those.
        """
        if self._datasets:
            return
        self._kept = used = torch.cat(list(self._parts.values())).sort().values
        classes = self.info.labels["class"].classes
        images, readable = self._read(used)
        labels = self._with_macro({"class": self._files.labels[used]}, classes)
        rows = {name: torch.searchsorted(used, part) for name, part in self._parts.items()}
        rows = {name: part[readable[part]] for name, part in rows.items()}
        self._check_enough({name: labels["class"][part] for name, part in rows.items()})
        images = images.to(home_of(images.nbytes, self._device(), self.workers))
        files = [self._files.paths[row] for row in used.tolist()]
        self._datasets = {name: ArrayDataset(images, labels, part, files) for name, part in rows.items()}

    def left_out(self) -> tuple[str, ...]:
        """As in the base class; and pictures in no class folder."""
        return self._files.left_out

    def picture_name(self, place: Place) -> str:
        """The path below ``root``."""
        if place.split == "extra":
            return super().picture_name(place)
        row = int(self._kept[self._datasets[place.split].rows[place.position]])
        return os.path.relpath(self._files.paths[row], self.root)

    def load(self) -> Splits:
        """All readable pictures, uint8 ``[N, C, H, W]``, independent of the fraction, which :meth:`setup` applies."""
        splits = []
        for mask in (~self._files.test, self._files.test):
            part = mask.nonzero().flatten()
            images, readable = self._read(part)
            splits.append(LabelledImages(images[readable], {"class": self._files.labels[part[readable]]}))
        return Splits(*splits)

    def _read(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures uint8 ``[n, C, H, W]`` and the mask of readable ones, bool ``[n]``."""
        self._check_memory(len(wanted))
        first = self._ranks()[0] == 0
        paths = [self._files.paths[i] for i in wanted.tolist()]
        images, unreadable = decode_pictures(paths, self.size, self.channels, first and len(paths) > _LONG)
        if unreadable:
            message = self._unreadable(wanted, unreadable)
            if self.on_error == "stop":
                raise UserError(f"{message}; mend or delete them, or set data.on_error=skip to leave them out")
            if first:
                log.warning("%s; they are left out", message)
        return images, _readable(len(paths), unreadable)

    def _unreadable(self, wanted: Tensor, reasons: Mapping[int, str]) -> str:
        named = sorted(
            f"{os.path.relpath(self._files.paths[int(wanted[position])], self.root)!r} ({reason})"
            for position, reason in reasons.items()
        )
        return f"{len(named):,} of {len(wanted):,} pictures in {self.root.absolute()} cannot be read: {shorten(named)}"

    def _check_memory(self, pictures: int) -> None:
        processes = 1 if self.trainer is None else self.trainer.num_devices
        each = f" in {processes} processes" if processes > 1 else ""
        check_memory(
            pictures * self.channels * math.prod(self.size) * processes,
            f"{pictures:,} pictures of {self.size[0]}x{self.size[1]} pixels{each}",
            "; a smaller data.size or data.fraction helps",
        )

    def _check_enough(self, labels: Mapping[str, Tensor]) -> None:
        for split, name in (("train", "training"), ("test", "test")):
            left = set(labels[split].tolist())
            lost = [repr(cls) for index, cls in enumerate(self._files.classes) if index not in left]
            if lost:
                raise UserError(f"No readable {name} picture is left of the classes {shorten(lost)}")
        if not len(labels["val"]):
            raise UserError("No readable validation picture is left; raise data.val_fraction or mend the pictures")


def _readable(count: int, unreadable: Mapping[int, str]) -> Tensor:
    mask = torch.ones(count, dtype=torch.bool)
    mask[list(unreadable)] = False
    return mask
