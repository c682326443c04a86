"""Base class of data sets whose pictures are listed in tables and do not fit into memory."""

import logging
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gat_lightning.batch import MISSING
from gat_lightning.data.base import ImageDataModule
from gat_lightning.data.cache import PictureCache
from gat_lightning.data.contrast import check_ranges, warn_of_low_contrast
from gat_lightning.data.dataset import ArrayDataset, FileDataset, home_of
from gat_lightning.data.duplicates import Place, equal_files
from gat_lightning.data.inventory import Inventory, take_inventory, warn_of_unnamed
from gat_lightning.data.listing import name_left_out
from gat_lightning.data.pictures import ABSENT, decode_pictures, inspect_pictures
from gat_lightning.data.records import ON_ERROR, Fault, Records, report
from gat_lightning.data.settings import check_channels, height_and_width
from gat_lightning.data.statistics import channel_statistics
from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.randomness import generator_for
from gat_lightning.validate import check_option, check_real

log = logging.getLogger(__name__)

SAMPLE = 1000
"""Most pictures that the normalisation is computed from."""

# More pictures than this are looked at with a progress bar.
_LONG = 2000


class ListedPictures(ImageDataModule):
    """Picture files with labels from tables, decoded by the loading processes or once into a cache.

    Resizing and cropping are described at :func:`~gat_lightning.data.pictures.decode_picture`: the shorter side is
    resized to ``size`` and the central square is cropped. The normalisation is that of a fixed sample of at most 1,000
    training and validation pictures.

    Unusable rows and pictures are counted and named in one message before training starts. Rows are checked by their
    content, pictures by their beginning and end. Other damage to a picture is found when it is decoded; with
    ``on_error=skip`` the picture then has no labels.

    Args:
        root: folder of the data set.
        size: length in pixels to which the shorter side is resized before the centre crop; or ``[height, width]``.
        channels: 1 for grey images, 3 for colour.
        on_error: treatment of unusable rows and pictures: ``stop`` or ``skip``.
        cache: folder for a copy of all chosen pictures, decoded to uint8 of this size, independent of ``fraction``.
            Later runs map it into memory. ``None``: no cache.
        test_fraction: fraction used for testing if the official test set is not used, in (0, 1); the same for every
            ``seed``.
        **settings: those of :class:`~gat_lightning.data.base.ImageDataModule`.

    Raises:
        UserError: a setting is out of range. :attr:`info` checks the files.
    """

    title: str
    """Name of the data set in messages."""

    layout: str
    """What ``root`` has to hold, for messages."""

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None,
        size: int | Sequence[int] = 256,
        channels: int = 1,
        on_error: str = "stop",
        cache: str | os.PathLike[str] | None = None,
        test_fraction: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if root is None:
            raise SettingError("root", None, f"a folder with {self.layout}")
        check_option("on_error", on_error, ON_ERROR)
        check_real("test_fraction", test_fraction, 0, 1, closed="neither", example=0.2)
        self.root, self.on_error, self.test_fraction = Path(root).expanduser(), on_error, test_fraction
        self.size, self.channels = height_and_width(size), check_channels(channels)
        self.cache = None if cache is None else Path(cache).expanduser()
        self._reported: set[int] = set()

    @abstractmethod
    def read(self) -> Records:
        """Read the tables, without opening pictures.

        Raises:
            UserError: a table is missing or invalid.
        """

    @abstractmethod
    def labels(self) -> dict[str, LabelInfo]:
        """The labels of :meth:`read`, without counts."""

    def label_infos(self) -> dict[str, LabelInfo]:
        """The labels in a batch, by name, without counts; no file is read."""
        return self._with_macro_info(self.labels())

    @abstractmethod
    def divide(self, records: Records) -> dict[str, Tensor]:
        """Rows of the splits ``train``, ``val`` and ``test``, including unreadable pictures.

        And of ``rest``, the training pictures that ``fraction`` leaves out.
        """

    @cached_property
    def records(self) -> Records:
        """Records of the tables.

        Raises:
            UserError: the folder is missing, or a table is missing or invalid.
        """
        if not self.root.is_dir():
            raise UserError(f"data.root: there is no folder {self.root.absolute()}; expected is one with {self.layout}")
        records, infos = self.read(), self.labels()
        if "class" not in infos:
            return records
        return replace(records, labels=self._with_macro(records.labels, infos["class"].classes))

    @cached_property
    def parts(self) -> dict[str, Tensor]:
        """Rows of every split that is used, as the tables list them."""
        return self._used_parts(self.divide(self.records))

    def groups(self, split: str) -> Tensor | None:
        """As in the base class; the numbers are not those of the tables, and follow from all chosen patients."""
        patients = self.records.patients
        if patients is None:
            return None
        numbers = patients.unique(return_inverse=True)[1]
        return numbers[self.split(split).rows.cpu()]

    def split_labels(self) -> dict[str, dict[str, Tensor]]:
        """Labels of every split as the tables list them; no picture is opened."""
        return {name: self._labels_of(rows) for name, rows in self.parts.items()}

    def _labels_of(self, rows: Tensor) -> dict[str, Tensor]:
        return {name: label[rows] for name, label in self.records.labels.items()}

    @cached_property
    def inventory(self) -> Inventory | None:
        """Comparison of the tables with the folder; ``None`` if the pictures are not from a table."""
        if self.records.named is None:
            return None
        return take_inventory(self.root, self.records.named, [fault.path for fault in self.records.faults])

    def equal_pictures(self) -> list[list[Place]]:
        """As in the base class, but by the bytes of the files, which are not decoded."""
        places = [Place(name, position) for name, rows in self.parts.items() for position in range(len(rows))]
        groups = equal_files(self._files(torch.cat(list(self.parts.values()))))
        return [[places[position] for position in group] for group in groups]

    def picture_name(self, place: Place) -> str:
        """The path below ``root``."""
        return self.records.paths[self.parts[place.split][place.position]]

    def left_out(self) -> tuple[str, ...]:
        """As in the base class, relative to ``root``."""
        return self.records.left_out

    @property
    def _used(self) -> Tensor:
        return torch.cat(list(self.parts.values())).sort().values

    def _files(self, rows: Tensor) -> list[str]:
        return [os.path.join(self.root, self.records.paths[row]) for row in rows.tolist()]

    @cached_property
    def _cached(self) -> PictureCache | None:
        if self.cache is None:
            return None
        return PictureCache(self.cache, self.title, self.root, self.records.paths, self.size, self.channels)

    def describe(self) -> DataInfo:
        """Names, counts and statistics. Reads the tables, checks every picture and reads at most 1,000.

        Raises:
            UserError: the tables or pictures are invalid, the range of the pictures is unknown, or the whole sample is
                unreadable.
        """
        used = self._used
        self._report(self._unreadable(used), used, self.records.faults)
        if self._is_first():
            self._warn_of_files()
        sample = self._sample()
        warn_of_low_contrast(sample, str(self.root.absolute()))
        mean, std = channel_statistics(sample)
        training = self._labels_of(self.parts["train"])
        labels = {name: _counted(info, training[name]) for name, info in self.labels().items()}
        return DataInfo(self.title, (self.channels, *self.size), mean, std, labels)

    def _unreadable(self, rows: Tensor) -> dict[int, str]:
        """Reasons of the unreadable pictures of these rows, by row."""
        if self._cached is not None and self._cached.exists():
            wanted = set(rows.tolist())
            return {row: reason for row, reason in self._cached.open().unreadable.items() if row in wanted}
        found = inspect_pictures(self._files(rows), self._is_first() and len(rows) > _LONG)
        return {int(rows[position]): reason for position, reason in found.items()}

    def report_rows(self) -> None:
        """Report the faults of the tables, without checking pictures.

        Raises:
            UserError: there are faults, and ``on_error`` is ``stop``.
        """
        self._report({}, self._used, self.records.faults)

    def _warn_of_files(self) -> None:
        """Name the files of other endings; and, when the pictures have been opened anyway, those without a row."""
        where = self.root.absolute()
        if left_out := self.left_out():
            log.warning("Left out in %s: %s", where, name_left_out(left_out))
        if self._cached is not None and self._cached.exists():
            return
        if self.inventory is not None:
            warn_of_unnamed(self.inventory, where)

    def _is_first(self) -> bool:
        return self._ranks()[0] == 0

    def _report(self, unreadable: Mapping[int, str], rows: Tensor, faults: Sequence[Fault] = ()) -> None:
        pictures = [
            Fault("missing picture", repr(self.records.paths[row]))
            if reason == ABSENT
            else Fault("unreadable picture", f"{self.records.paths[row]!r}: {reason}")
            for row, reason in sorted(unreadable.items())
            if row not in self._reported
        ]
        self._reported |= unreadable.keys()
        total = len(rows) + len(self.records.faults)
        report([*faults, *pictures], total, str(self.root.absolute()), self.on_error, self._is_first())

    def _sample(self) -> Tensor:
        used = torch.cat([self.parts["train"], self.parts["val"]]).sort().values
        used = used[~torch.isin(used, torch.tensor(sorted(self._reported), dtype=torch.long))]
        used = used[torch.randperm(len(used), generator=generator_for(self.title, "statistics"))[:SAMPLE]]
        check_ranges(self._files(used), str(self.root.absolute()))
        if self._cached is not None and self._cached.exists():
            return self._cached.open().images[used]
        images, unreadable = decode_pictures(self._files(used), self.size, self.channels)
        readable = [position for position in range(len(used)) if position not in unreadable]
        if not readable:
            raise UserError(f"None of {len(used):,} training pictures in {self.root.absolute()} can be read")
        return images[readable]

    def prepare_data(self) -> None:
        """Create the cache, if requested. The trainer calls this in one process of each node.

        Raises:
            UserError: it cannot be written.
        """
        if self._cached is not None:
            self._cached.build(self._is_first())

    def setup(self, stage: str | None = None) -> None:
        """Create the splits; a second call does nothing.

        Raises:
            UserError: pictures are unreadable, or a split is empty without them.
        """
        if self._datasets:
            return
        info, labels = self.info, self.records.labels
        lost = torch.tensor(sorted(self._reported), dtype=torch.long)
        if self._cached is not None:
            self.prepare_data()
            images, _ = self._cached.open()
            self._report(self._unreadable(self._used), self._used)
            lost = torch.tensor(sorted(self._reported), dtype=torch.long)
            images = images.to(home_of(images.nbytes, self._device(), self.workers))
        rows = {name: part[~torch.isin(part, lost)] for name, part in self.parts.items()}
        for name, part in rows.items():
            if not len(part):
                raise UserError(f"No readable {name} picture of {info.name} is left in {self.root.absolute()}")
        files = self._files(torch.arange(len(self.records.paths)))
        if self._cached is not None:
            self._datasets = {name: ArrayDataset(images, labels, part, files) for name, part in rows.items()}
            return
        self._datasets = {
            name: FileDataset(files, self.size, self.channels, labels, part, self.on_error == "skip")
            for name, part in rows.items()
        }


def _counted(info: LabelInfo, label: Tensor) -> LabelInfo:
    """Label infos with the number of samples of each class."""
    if not info.classes:
        return info
    present = label[label != MISSING]
    return replace(info, counts=tuple(torch.bincount(present, minlength=len(info.classes)).tolist()))
