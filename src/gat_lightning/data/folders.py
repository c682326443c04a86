"""Pictures in one folder per class: files, classes and test split."""

import logging
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gat_lightning.data.splits import stratified
from gat_lightning.errors import UserError
from gat_lightning.nearest import did_you_mean, nearest
from gat_lightning.randomness import generator_for

log = logging.getLogger(__name__)

ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
"""Of files that are taken for pictures, in lower case."""

_SHOWN = 10

ClassFolders = dict[str, list[str]]
"""Folders of every class; more than one only where file names spell the same name in two Unicode forms."""


@dataclass(frozen=True)
class PictureFiles:
    """Picture files of a data set in random order, so that the first files of a split are a fair sample of it.

    Attributes:
        classes: names of the classes, in the order of their indices.
        paths: paths of the N files.
        labels: class index of every file, long ``[N]``.
        test: mask of the test files, bool ``[N]``.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: Tensor
    test: Tensor


def expected_layout(root: str | os.PathLike[str]) -> str:
    """The expected arrangement of folders, for messages."""
    return f"{root}/train/CLASS/*.jpg and {root}/test/CLASS/*.jpg, or {root}/CLASS/*.jpg alone"


def shorten(items: Sequence[str]) -> str:
    """The first ten items, and the number of further items."""
    more = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def find_pictures(root: Path, classes: Sequence[str] | None, test_fraction: float) -> PictureFiles:
    """List the pictures in ``root/train/CLASS`` and ``root/test/CLASS``, or in ``root/CLASS``.

    Sub-folders of a class are included, links are followed, and hidden files and folders are ignored. In the second
    layout the test pictures of a class are drawn with a fixed seed and depend only on the class's name and its number
    of pictures.

    Args:
        root: folder with one of the two layouts.
        classes: names of the classes to use, in the order of their indices; all folders, sorted, by default.
        test_fraction: fraction of each class used for testing in the second layout, in (0, 1).

    Returns:
        The files, in a fixed random order that does not depend on that of ``classes``.

    Raises:
        UserError: the folders are missing or not arranged so, a class is empty, unknown, only in training or only in
            test, or has too few pictures to split; or there are fewer than two classes.
    """
    folders = _layout(root)
    names = _names(root, classes, folders)
    paths: list[str] = []
    labels: list[int] = []
    test: list[Tensor] = []
    for name in sorted(names):
        for split, of_class in folders.items():
            found = [path for folder in of_class[name] for path in list_pictures(folder)]
            if not found:
                raise UserError(
                    f"The class folder {of_class[name][0]} has no picture ({', '.join(ENDINGS)}); add some, delete"
                    " the folder, or name the classes to use in data.classes"
                )
            paths += found
            labels += [names.index(name)] * len(found)
            test.append(
                _drawn_for_test(name, len(found), test_fraction)
                if split == "all"
                else torch.full((len(found),), split == "test")
            )
    order = torch.randperm(len(paths), generator=generator_for("images", "order"))
    mixed = tuple(paths[position] for position in order.tolist())
    return PictureFiles(tuple(names), mixed, torch.tensor(labels)[order], torch.cat(test)[order])


def _layout(root: Path) -> dict[str, ClassFolders]:
    """Class folders of the splits ``train`` and ``test``, or of ``all`` pictures."""
    if not os.path.isdir(root):
        raise UserError(f"data.root: there is no folder {root.absolute()}; expected are {expected_layout('data.root')}")
    found = find_class_folders(root)
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


def _holds_class_folders(folder: Path) -> bool:
    """Whether the folder is a split rather than a class of that name."""
    entries = _entries(folder)
    return any(e.is_dir() for e in entries) and not any(_is_picture(e) for e in entries)


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


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"data.root: the folder {folder} cannot be listed: {error.strerror}") from error


def find_class_folders(folder: Path) -> ClassFolders:
    """Class folders in ``folder``, by name."""
    found: ClassFolders = {}
    for entry in _entries(folder):
        if entry.is_dir():
            found.setdefault(unicodedata.normalize("NFC", entry.name), []).append(entry.path)
    return found


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(ENDINGS) and not entry.is_dir()


def list_pictures(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Paths of the pictures in ``folder`` and its sub-folders, links followed; ``above`` are the folders it is in."""
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link back to a folder that it is in
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from list_pictures(entry.path, above | {here})
        elif _is_picture(entry):
            yield entry.path
