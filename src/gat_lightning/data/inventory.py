"""Comparison of the rows of a data set's tables with the pictures in its folder."""

import logging
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from gat_lightning.data.listing import is_picture, list_files, shorten

log = logging.getLogger(__name__)


class Inventory(NamedTuple):
    """Pictures and rows without their counterpart.

    Attributes:
        pictures: number of pictures in the folders that the rows point to.
        unnamed: those of them that no row names, relative to the data set's folder, sorted.
        absent: paths of the rows whose picture is not there, sorted.
    """

    pictures: int
    unnamed: list[str]
    absent: list[str]


def take_inventory(root: Path, rows: Collection[str], unusable: Collection[str] = ()) -> Inventory:
    """List the folders that the rows point to; no picture is opened.

    Folders whose names differ only in a number, such as ``images_001`` and ``images_012``, are taken together, so that
    those are found whose rows have been cut off.

    Args:
        root: folder of the data set.
        rows: paths of all usable rows, relative to ``root``, chosen by the settings or not.
        unusable: paths of the other rows.
    """
    kinds = {_without_number(path.partition("/")[0]) for path in rows if "/" in path}
    folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and _without_number(entry.name) in kinds]
    found = {os.path.relpath(path, root) for folder in folders for path in list_files(str(folder)) if is_picture(path)}
    named = set(rows)
    absent = [path for path in named - found if not (root / path).is_file()]
    return Inventory(len(found), sorted(found - named - set(unusable)), sorted(absent))


def warn_of_unnamed(found: Inventory, root: Path) -> None:
    """Warn of pictures that no row names: a table that is cut at the end of a row shows no other sign of it."""
    if found.unnamed:
        log.warning(
            "%s of %s pictures in %s are in no row of the table, which may be truncated: %s",
            f"{len(found.unnamed):,}",
            f"{found.pictures:,}",
            root,
            shorten(list(map(repr, found.unnamed))),
        )


def _without_number(name: str) -> str:
    return re.sub(r"\d+", "", name)
