"""ROBIN (OOD-CV), for image classification."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gat_lightning.batch import MISSING
from gat_lightning.data.base import Macro
from gat_lightning.data.listed import ListedPictures
from gat_lightning.data.listing import find_class_folders, is_picture, list_files, shorten
from gat_lightning.data.records import Fault, Records
from gat_lightning.data.splits import hold_out, stratified
from gat_lightning.data.tables import read_table
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo, LabelInfo

CLASSES = (
    "aeroplane",
    "bicycle",
    "boat",
    "bus",
    "car",
    "chair",
    "diningtable",
    "motorbike",
    "sofa",
    "train",
)

NUISANCES = ("shape", "pose", "texture", "context", "weather", "occlusion")
"""What may be unusual about a picture; that of occlusion came with a later release."""

MACRO: Macro = {
    "vehicle": ("aeroplane", "bicycle", "boat", "bus", "car", "motorbike", "train"),
    "furniture": ("chair", "diningtable", "sofa"),
}

TRAIN, TEST = "ROBIN-cls-train", "ROBIN-cls-val"

# What a nuisance's column of the table says where it does not apply.
_ABSENT = ("", "0")


class _Picture(NamedTuple):
    path: str
    cls: int
    nuisance: int
    test: bool


class ROBIN(ListedPictures):
    """Colour pictures of 10 classes; each test picture has one unusual property, a nuisance (Zhao et al., 2022).

    ``root`` holds ``ROBIN-cls-train/CLASS/*`` and ``ROBIN-cls-val/NUISANCE/CLASS/*``. Without the latter, test pictures
    are drawn from each class of the former. The label ``nuisance`` comes from a test picture's folder or from the
    table; it is missing if a picture has none. Evaluation by nuisance groups test images by this label.

    Args:
        csv: table of training pictures, with ``;`` between its columns ``path`` (the file's name), ``class``, and any
            of the nuisances, filled in where one applies. ``None``: no table.
        size: as for :class:`~gat_lightning.data.listed.ListedPictures`.
        channels: likewise.
        macro: as for :class:`~gat_lightning.data.base.ImageDataModule`; vehicles and furniture.
        **settings: those of :class:`~gat_lightning.data.listed.ListedPictures`.
    """

    title = "ROBIN"
    layout = f"{TRAIN}/CLASS/* and {TEST}/NUISANCE/CLASS/*, or {TRAIN}/CLASS/* alone"

    def __init__(
        self,
        *,
        csv: str | os.PathLike[str] | None = None,
        size: int | Sequence[int] = 256,
        channels: int = 3,
        macro: Macro | None = MACRO,
        **settings: Any,
    ) -> None:
        super().__init__(size=size, channels=channels, macro=macro, **settings)
        self.csv = None if csv is None else Path(csv).expanduser()

    def labels(self) -> dict[str, LabelInfo]:
        """Class and nuisance."""
        return {"class": LabelInfo(CLASSES), "nuisance": LabelInfo(NUISANCES)}

    def read(self) -> Records:
        """List the folders, and read the table.

        Raises:
            UserError: a folder or the table is missing or invalid.
        """
        files = self._listed()
        pictures = [file for file in files if is_picture(file.path)]
        faults: list[Fault] = []
        named: tuple[str, ...] | None = None
        if self.csv is not None:
            pictures, faults, named = _with_table(pictures, self.csv)
        return Records(
            paths=tuple(picture.path for picture in pictures),
            labels={
                "class": torch.tensor([picture.cls for picture in pictures]),
                "nuisance": torch.tensor([picture.nuisance for picture in pictures]),
            },
            test=torch.tensor([picture.test for picture in pictures]),
            faults=tuple(faults),
            named=named,
            left_out=tuple(file.path for file in files if not is_picture(file.path)),
        )

    def _listed(self) -> list[_Picture]:
        """All files of the class folders, those of other endings included."""
        train, test = self.root / TRAIN, self.root / TEST
        if not train.is_dir():
            raise UserError(f"{self.root.absolute()} has no folder {TRAIN}; expected is {self.layout}")
        pictures = [_Picture(path, cls, MISSING, False) for path, cls in self._of_classes(train)]
        for name in find_class_folders(test) if test.is_dir() else ():
            if name not in NUISANCES:
                raise UserError(f"{test.absolute()} has a folder {name!r}; expected are {', '.join(NUISANCES)}")
            nuisance = NUISANCES.index(name)
            pictures += [_Picture(path, cls, nuisance, True) for path, cls in self._of_classes(test / name)]
        return pictures

    def _of_classes(self, folder: Path) -> Iterator[tuple[str, int]]:
        found = find_class_folders(folder)
        if unknown := sorted(set(found) - set(CLASSES)):
            raise UserError(
                f"{folder.absolute()} has folders of no class of ROBIN: {shorten(unknown)}; its classes are"
                f" {', '.join(CLASSES)}"
            )
        for name in sorted(found):
            for path in (path for place in found[name] for path in list_files(place)):
                yield os.path.relpath(path, self.root), CLASSES.index(name)

    def describe(self) -> DataInfo:
        """As :meth:`ListedPictures.describe`.

        Raises:
            UserError: see there; or the target is ``nuisance``, and no training picture has one.
        """
        if self.target != "nuisance":
            return super().describe()
        labels = self._labels_of(self.parts["train"])["nuisance"]
        if bool((labels == MISSING).all()):
            source = "without data.csv" if self.csv is None else f"in data.csv={self.csv}"
            raise UserError(
                f"data.target=nuisance: none of {len(labels):,} training pictures has a nuisance {source}; set"
                " data.csv to the table that names them, or data.target to class or macro"
            )
        return super().describe()

    def divide(self, records: Records) -> dict[str, Tensor]:
        """Class-balanced splits.

        Raises:
            UserError: a class has no training picture, or there is no validation picture.
        """
        labels, chosen = records.labels["class"], records.test
        assert chosen is not None
        test, others = (mask.nonzero().flatten() for mask in (chosen, ~chosen))
        if not len(test):
            test, others = stratified(labels, round(self.test_fraction * len(labels)), self.title, "test")
        training, validation, rest = hold_out(labels[others], self.val_fraction, self.fraction, self.seed)
        if absent := sorted(set(range(len(CLASSES))) - set(labels[others[training]].tolist())):
            raise UserError(f"There is no training picture of the class {CLASSES[absent[0]]!r}; use a larger fraction")
        return {"train": others[training], "val": others[validation], "test": test, "rest": others[rest]}


def _with_table(pictures: Sequence[_Picture], csv: Path) -> tuple[list[_Picture], list[Fault], tuple[str, ...]]:
    """The pictures with their nuisances from the table, the faults of its rows, and the paths of the pictures named."""
    table = read_table(csv, ["path", "class"], ";")
    nuisances = [name for name in NUISANCES if name in table.columns]
    place = {(os.path.basename(picture.path), picture.cls): row for row, picture in enumerate(pictures)}
    found, faults, seen = list(pictures), [], set()
    for row in table.to_dict("records"):
        name, said = os.path.basename(row["path"]), [key for key in nuisances if row[key] not in _ABSENT]
        key = (name, CLASSES.index(row["class"]) if row["class"] in CLASSES else MISSING)
        shown = f"{row['class']}/{name}"
        if key[1] == MISSING:
            faults.append(Fault("unknown label", f"{name!r}: class={row['class']!r}"))
        elif key in seen:
            faults.append(Fault("duplicate row", repr(shown)))
        elif key not in place:
            faults.append(Fault("missing picture", repr(shown)))
        elif len(said) > 1:
            faults.append(Fault("row with several nuisances", f"{shown!r}: {', '.join(said)}"))
        elif said:
            found[place[key]] = found[place[key]]._replace(nuisance=NUISANCES.index(said[0]))
        seen.add(key)
    return found, faults, tuple(pictures[place[key]].path for key in seen if key in place)
