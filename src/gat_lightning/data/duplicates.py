"""Equal pictures in a data set, found by hashes."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from gat_lightning.data.dataset import FileDataset, SplitDataset
from gat_lightning.data.listing import shorten
from gat_lightning.errors import UserError

log = logging.getLogger(__name__)

# Images that are hashed at a time.
_HASHED = 1024


class Place(NamedTuple):
    """A picture's split, and its position in it."""

    split: str
    position: int


# Enough of a file for different pictures to differ, beyond the metadata of most.
_BEGINNING = 2**16


def equal_files(paths: Sequence[str]) -> list[list[int]]:
    """Positions of equal files, in groups of at least two; files that cannot be read are left out.

    A file is read only if another one has its size, and beyond its first 64 KiB only if another one begins alike.
    """
    groups = _divided([list(range(len(paths)))], lambda position: os.path.getsize(paths[position]))
    groups = _divided(groups, lambda position: _hash_of(paths[position], 0))
    return _divided(groups, lambda position: _hash_of(paths[position], _BEGINNING))


def equal_images(splits: Iterable[SplitDataset]) -> list[list[int]]:
    """Positions of equal images, in groups of at least two; they count through all splits."""
    positions = defaultdict(list)
    batches = (split.pixels(rows, {}).cpu() for split in splits for rows in split.rows.split(_HASHED))
    hashes = (blake2b(image.numpy().tobytes(), digest_size=16).digest() for batch in batches for image in batch)
    for position, found in enumerate(hashes):
        positions[found].append(position)
    return [group for group in positions.values() if len(group) > 1]


def refuse_held_out(images: SplitDataset, held_out: Mapping[str, SplitDataset], source: str) -> None:
    """Check that no image to train on is held out.

    Images in memory are compared pixel by pixel, files that are decoded for each batch by their bytes. Images that are
    not of a file are not compared with such files, which is logged.

    Args:
        images: to train on.
        held_out: the splits that have none of them, by name.
        source: of the images, for messages.

    Raises:
        UserError: some are held out; the first ones are named.
    """
    if (found := _held_out(images, held_out, source)) is not None:
        raise UserError(f"{found}; take them out")


def warn_of_held_out(images: SplitDataset, held_out: Mapping[str, SplitDataset], source: str) -> None:
    """As :func:`refuse_held_out`, for images that the data set itself has among its training images.

    Files are not compared, since all of the data set's would be read.
    """
    if isinstance(images, FileDataset):
        return
    if (found := _held_out(images, held_out, source)) is not None:
        log.warning("%s. The data set has them twice, and its scores can be too high", found)


def _held_out(images: SplitDataset, held_out: Mapping[str, SplitDataset], source: str) -> str | None:
    """A sentence that names the first held-out images; None if there are none."""
    groups = _equal_of([*held_out.values(), images])
    kinds = list(held_out)
    if groups is None:
        together = " and ".join(kinds)
        log.info("%s: not compared with the %s images, as pictures are decoded for each batch", source, together)
        return None
    places = [Place(name, position) for name, split in held_out.items() for position in range(len(split))]
    pairs = [(group[0], each) for group in groups for each in group if group[0] < len(places) <= each]
    if not pairs:
        return None
    named = [
        f"{images.name_of(each - len(places))} ({place.split} {held_out[place.split].name_of(place.position)})"
        for place, each in ((places[first], each) for first, each in pairs)
    ]
    return f"{source}: {len(pairs):,} of its images are {' or '.join(kinds)} images: {shorten(named)}"


def _equal_of(splits: Sequence[SplitDataset]) -> list[list[int]] | None:
    """As :func:`equal_images`; None where the splits cannot be compared."""
    if not any(isinstance(split, FileDataset) for split in splits):
        return equal_images(splits)
    paths = [split.path_of(position) for split in splits for position in range(len(split))]
    known = [path for path in paths if path is not None]
    return equal_files(known) if len(known) == len(paths) else None


def _divided(groups: Iterable[list[int]], key: Callable[[int], Hashable]) -> list[list[int]]:
    """Groups of the members of each group with the same key, without those of one member."""
    return [part for group in groups for part in _parts(group, key) if len(part) > 1]


def _parts(group: Sequence[int], key: Callable[[int], Hashable]) -> Iterator[list[int]]:
    parts = defaultdict(list)
    for position in group:
        try:
            parts[key(position)].append(position)
        except OSError:
            continue
    yield from parts.values()


def _hash_of(path: str, start: int) -> bytes:
    """Hash of the beginning of a file, or of all that follows ``start``."""
    with open(path, "rb") as file:
        file.seek(start)
        return blake2b(file.read(_BEGINNING if start == 0 else -1), digest_size=16).digest()
