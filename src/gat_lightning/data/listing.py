"""Listing of folders: pictures by their endings, files of other endings, and class folders."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from gat_lightning.errors import UserError

ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
"""Of files that are taken for pictures, in lower case."""

_SHOWN = 10

ClassFolders = dict[str, list[str]]
"""Folders of every class; more than one only where file names spell the same name in two Unicode forms."""


def shorten(items: Sequence[str]) -> str:
    """The first ten items, and the number of further items."""
    more = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def is_picture(path: str) -> bool:
    """Whether a file is taken for a picture."""
    return path.lower().endswith(ENDINGS)


def entries_of(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    """Entries of a folder by name, without hidden ones.

    Raises:
        UserError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"data.root: the folder {folder} cannot be listed: {error.strerror}") from error


def find_class_folders(folder: Path) -> ClassFolders:
    """Class folders in ``folder``, by name."""
    found: ClassFolders = {}
    for entry in entries_of(folder):
        if entry.is_dir():
            found.setdefault(unicodedata.normalize("NFC", entry.name), []).append(entry.path)
    return found


def loose_pictures(folder: Path) -> list[str]:
    """Paths of the pictures in ``folder`` itself, which are in no class folder."""
    return [entry.path for entry in entries_of(folder) if not entry.is_dir() and is_picture(entry.name)]


def list_files(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Paths of the files in ``folder`` and its sub-folders, links followed; ``above`` are the folders it is in."""
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link back to a folder that it is in
        return
    for entry in entries_of(folder):
        if entry.is_dir():
            yield from list_files(entry.path, above | {here})
        else:
            yield entry.path


def name_left_out(paths: Sequence[str]) -> str:
    """Count files by their endings, the most frequent first, and name the first of each kind.

    Args:
        paths: at least one file, as it is named.
    """
    endings = [os.path.splitext(path)[1].lower() for path in paths]
    kinds = []
    for ending, count in Counter(endings).most_common():
        first = paths[endings.index(ending)]
        kinds.append(f"{count:,} {ending or 'without an ending'} ({first!r}{', ...' if count > 1 else ''})")
    return ", ".join(kinds)
