"""Faults of a data set's files that training does not look for: duplicates, and pictures or rows left over."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from rich.table import Table
from rich.text import Text
from torch import Tensor

from gat_lightning.batch import has_label
from gat_lightning.data.array_base import ArrayDataModule
from gat_lightning.data.base import ImageDataModule
from gat_lightning.data.duplicates import Place
from gat_lightning.data.listed import ListedPictures

_SHOWN = 3

_NAMES = {"train": "training", "val": "validation", "test": "test", "extra": "extra"}


def check_files(data: ImageDataModule) -> Table:
    """Table of the faults, with their number and the first of them.

    Across splits, pictures of the later split are counted; otherwise groups of equal pictures.

    Args:
        data: before or after its setup. All pictures are read; those that tables list are not decoded.
    """
    table = Table("", "number", "such as", title="Equal pictures, and files left over")
    for title, names in [*_duplicates(data), *_left_over(data)]:
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        table.add_row(title, f"{len(names):,}", Text(shown))
    return table


def _duplicates(data: ImageDataModule) -> Iterator[tuple[str, list[str]]]:
    groups, labels = data.equal_pictures(), data.split_labels()
    extra = isinstance(data, ArrayDataModule) and data.extra is not None
    for first, second in combinations([name for name in _NAMES if extra or name != "extra"], 2):
        yield f"equal in {_NAMES[first]} and {_NAMES[second]}", _shared(data, groups, first, second)
    if data.target in data.label_infos():
        conflicting = [group for group in groups if len(_values(group, labels, data.target)) > 1]
        yield f"equal with different labels ({data.target})", _named(data, conflicting)
    within = [group for group in groups if len({place.split for place in group}) < len(group)]
    yield "equal in one split", _named(data, within)


def _shared(data: ImageDataModule, groups: Sequence[Sequence[Place]], first: str, second: str) -> list[str]:
    """Pictures of the split ``second`` with one of ``first`` that is equal."""
    return [
        f"{data.picture_name(place)} = {data.picture_name(other)}"
        for group in groups
        if (other := next((place for place in group if place.split == first), None)) is not None
        for place in group
        if place.split == second
    ]


def _values(group: Sequence[Place], labels: Mapping[str, Mapping[str, Tensor]], name: str) -> set[float]:
    found = [labels[place.split][name][place.position] for place in group if place.split in labels]
    return {value.item() for value in found if value.dim() == 0 and has_label(value)}


def _named(data: ImageDataModule, groups: Sequence[Sequence[Place]]) -> list[str]:
    return [" = ".join(map(data.picture_name, group)) for group in groups]


def _left_over(data: ImageDataModule) -> Iterator[tuple[str, Sequence[str]]]:
    yield "files that are not read", data.left_out()
    if isinstance(data, ListedPictures) and (found := data.inventory) is not None:
        yield "pictures in no row of the table", found.unnamed
        yield "rows without a picture", found.absent
