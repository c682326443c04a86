"""Equal pictures in a data set, found by hashes."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
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


def refuse_test_images(images: SplitDataset, test: SplitDataset, what: str) -> None:
    """See that no image is a test image, pixel by pixel. Pictures that are decoded for each batch are not looked at.

    Args:
        images: to train on.
        test: the test images.
        what: their source, for the message.

    Raises:
        UserError: some are test images; the first ones are named.
    """
    if isinstance(images, FileDataset) or isinstance(test, FileDataset):
        log.info(
            "%s: whether test images are among them is not looked at, as pictures are decoded for each batch", what
        )
        return
    found = [group for group in equal_images((test, images)) if group[0] < len(test) <= group[-1]]
    if found:
        named = [f"image {group[-1] - len(test)} (test image {group[0]})" for group in found]
        raise UserError(f"{what}: {len(found):,} test images are among them: {shorten(named)}; take them out")


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
