"""Equal pictures in a data set, found by hashes."""

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from torch import Tensor


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


def equal_images(batches: Iterable[Tensor]) -> list[list[int]]:
    """Positions of equal images, in groups of at least two.

    Args:
        batches: images uint8 ``[B, C, H, W]``; positions count through all batches.
    """
    positions = defaultdict(list)
    hashes = (blake2b(image.numpy().tobytes(), digest_size=16).digest() for batch in batches for image in batch.cpu())
    for position, found in enumerate(hashes):
        positions[found].append(position)
    return [group for group in positions.values() if len(group) > 1]


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
