"""Pictures in one folder per class: files, classes and test split."""

import logging
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gat_lightning.data.listing import (
    ENDINGS,
    ClassFolders,
    entries_of,
    find_class_folders,
    is_picture,
    list_files,
    loose_pictures,
    name_left_out,
    shorten,
)
from gat_lightning.data.splits import stratified
from gat_lightning.errors import UserError
from gat_lightning.nearest import did_you_mean, nearest
from gat_lightning.randomness import generator_for

log = logging.getLogger(__name__)

_SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation")
"""Names of folders that hold a split rather than a class, in lower case."""


@dataclass(frozen=True)
class PictureFiles:
    """Picture files of a data set in random order, so that the first files of a split are a fair sample of it.

    Attributes:
        classes: names of the classes, in the order of their indices.
        paths: paths of the N files.
        labels: class index of every file, long ``[N]``.
        test: mask of the test files, bool ``[N]``.
        left_out: names, below the folder, of files of endings that are not read, and of pictures in no class folder.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: Tensor
    test: Tensor
    left_out: tuple[str, ...] = ()


def expected_layout(root: str | os.PathLike[str]) -> str:
    """The expected arrangement of folders, for messages."""
    return f"{root}/train/CLASS/*.jpg and {root}/test/CLASS/*.jpg, or {root}/CLASS/*.jpg alone"


def find_pictures(root: Path, classes: Sequence[str] | None, test_fraction: float) -> PictureFiles:
    """List the pictures in ``root/train/CLASS`` and ``root/test/CLASS``, or in ``root/CLASS``.

    Sub-folders of a class are included, links are followed, and hidden files and folders are ignored. A warning counts
    and names files of endings that are not read, and pictures in no class folder. In the second layout the test
    pictures of a class are drawn with a fixed seed and depend only on the class's name and its number of pictures.

    Args:
        root: folder with one of the two layouts.
        classes: names of the classes to use, in the order of their indices; all folders, sorted, by default.
        test_fraction: fraction of each class used for testing in the second layout, in (0, 1).

    Returns:
        The files, in a fixed random order that does not depend on that of ``classes``.

    Raises:
        UserError: the folders are missing, or not arranged or not spelled so, a class is empty, unknown, only in
            training or only in test, or has too few pictures to split; or there are fewer than two classes.
    """
    folders = _layout(root)
    names = _names(root, classes, folders)
    paths: list[str] = []
    labels: list[int] = []
    test: list[Tensor] = []
    places = [root, *(root / split for split in folders if split != "all")]
    left_out = [path for place in places for path in loose_pictures(place)]
    for name in sorted(names):
        for split, of_class in folders.items():
            found, others = _files_of(of_class[name])
            left_out += others
            paths += found
            labels += [names.index(name)] * len(found)
            test.append(
                _drawn_for_test(name, len(found), test_fraction)
                if split == "all"
                else torch.full((len(found),), split == "test")
            )
    order = torch.randperm(len(paths), generator=generator_for("images", "order"))
    mixed = tuple(paths[position] for position in order.tolist())
    names_left_out = tuple(os.path.relpath(path, root) for path in left_out)
    if left_out:
        log.warning("Left out in %s, as no pictures of a class: %s", root.absolute(), name_left_out(names_left_out))
    return PictureFiles(tuple(names), mixed, torch.tensor(labels)[order], torch.cat(test)[order], names_left_out)


def _files_of(folders: Sequence[str]) -> tuple[list[str], list[str]]:
    """Pictures of a class, and its files of other endings."""
    files = [path for folder in folders for path in list_files(folder)]
    pictures = [path for path in files if is_picture(path)]
    if not pictures:
        there = f"; it has {name_left_out([os.path.basename(path) for path in files])}" if files else ""
        raise UserError(
            f"The class folder {folders[0]} has no picture ({', '.join(ENDINGS)}){there}; add some, delete the folder,"
            " or name the classes to use in data.classes"
        )
    return pictures, [path for path in files if not is_picture(path)]


def _layout(root: Path) -> dict[str, ClassFolders]:
    """Class folders of the splits ``train`` and ``test``, or of ``all`` pictures."""
    if not os.path.isdir(root):
        raise UserError(f"data.root: there is no folder {root.absolute()}; expected are {expected_layout('data.root')}")
    found = find_class_folders(root)
    _check_split_names(root, found)
    split: list[str] = [name for name in ("train", "test") if name in found]
    if len(split) == 1 and _holds_class_folders(root / split[0]):
        other = "test" if split[0] == "train" else "train"
        raise UserError(
            f"{root.absolute()} has {split[0]}/ with class folders but no {other}/; add {other}/, or set"
            f" data.root={root.absolute() / split[0]} to have test pictures drawn from it (data.test_fraction)"
        )
    if len(split) == 2:
        if ignored := sorted(set(found) - set(split)):
            log.warning("Left out, beside train and test in %s: %s", root.absolute(), shorten(ignored))
        folders = {name: find_class_folders(root / name) for name in split}
    else:
        folders = {"all": found}
    for name, of_class in folders.items():
        if not of_class:
            place = root.absolute() if name == "all" else root.absolute() / name
            raise UserError(f"{place} has no class folders; expected are {expected_layout(root.absolute())}")
    return folders


def _check_split_names(root: Path, found: ClassFolders) -> None:
    """Refuse splits of other names, which would become classes."""
    meant = [name for name in found if name.strip().lower() in _SPLITS]
    if {"train", "test"} <= set(found) or len(meant) < 2:
        return
    if len(meant) == len(found) or all(_holds_class_folders(Path(found[name][0])) for name in meant):
        raise UserError(
            f"{root.absolute()} has the folders {', '.join(meant)}, which would be taken for classes: rename those of"
            " the splits to train and test, in lower case (validation pictures are drawn from train)"
        )


def _holds_class_folders(folder: Path) -> bool:
    """Whether the folder is a split rather than a class of that name."""
    return any(entry.is_dir() for entry in entries_of(folder)) and not loose_pictures(folder)


def _names(root: Path, classes: Sequence[str] | None, folders: Mapping[str, ClassFolders]) -> list[str]:
    known = sorted(set().union(*folders.values()))
    names = known if classes is None else [unicodedata.normalize("NFC", str(name)) for name in classes]
    for name, given in zip(names, known if classes is None else classes, strict=True):
        if name not in known:
            guess = did_you_mean(nearest(name, known))
            quotes = "" if isinstance(given, str) else " (YAML reads a bare no, on or 01 otherwise: put it in quotes)"
            raise UserError(
                f"data.classes: {root.absolute()} has no class folder {name!r}, only {shorten(known)}{guess}{quotes}"
            )
        if names.count(name) > 1:
            raise UserError(f"data.classes names {name!r} more than once")
    if classes is None:
        _check_spellings(root, names)
    for here, there in (("train", "test"), ("test", "train")):
        only = [repr(name) for name in names if here in folders and name not in folders[there]]
        if only:
            raise UserError(
                f"{root.absolute()}: {here}/ has class folders that {there}/ has not: {shorten(only)}; every class must"
                " be in both, or name the classes to use in data.classes"
            )
    if len(names) < 2:
        where = f"{root.absolute()} has" if classes is None else "data.classes names"
        raise UserError(f"{where} only {len(names)} class{': ' + names[0] if names else 'es'}; at least two are needed")
    if left_out := sorted(set(known) - set(names)):
        log.warning("Left out, as data.classes does not name them: %s", shorten(left_out))
    return names


def _check_spellings(root: Path, names: Sequence[str]) -> None:
    spelled: dict[str, str] = {}
    for name in names:
        other = spelled.setdefault(name.strip().casefold(), name)
        if other != name:
            raise UserError(
                f"{root.absolute()} has the class folders {other!r} and {name!r}, whose names differ in case or spaces"
                " only; join them, or name the classes to use in data.classes"
            )


def _drawn_for_test(name: str, count: int, test_fraction: float) -> Tensor:
    size = round(test_fraction * count)
    if not 0 < size < count:
        raise UserError(
            f"Class {name!r} has too few pictures to split: data.test_fraction={test_fraction} puts {size} of its"
            f" {count} into the test set, and training and test need at least one each; add pictures, change"
            " data.test_fraction, or leave the class out of data.classes"
        )
    drawn, _ = stratified(torch.zeros(count, dtype=torch.long), size, "images", "test", name)
    return torch.zeros(count, dtype=torch.bool).index_fill(0, drawn, True)
