"""Headers of .npz files, checked before memory is allocated."""

import math
import zipfile
from typing import IO

import numpy as np

from gat_lightning.data.memory import check_memory

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Readers of an array's header, by version."""


def check_member(archive: zipfile.ZipFile, key: str) -> None:
    """Check that an array has the size in its header and fits into memory.

    NumPy allocates memory first, and a damaged file may claim any size.

    Args:
        archive: the opened .npz file.
        key: name of the array.

    Raises:
        UserError: the array needs more than 80 % of the free memory.
        ValueError: the array is shorter or longer than its header says.
    """
    member = archive.getinfo(f"{key}.npy")
    check_memory(member.file_size, f"{archive.filename}: {key}")
    with archive.open(member) as file:
        claimed = _claimed_bytes(file)
        stored = member.file_size - file.tell()
    if claimed is not None and claimed != stored:
        raise ValueError(f"{key} has {stored:,} bytes, and its header says {claimed:,}")


def _claimed_bytes(file: IO[bytes]) -> int | None:
    """Size that an array claims, in bytes; None if unknown."""
    read = HEADERS.get(np.lib.format.read_magic(file))
    if read is None:
        return None
    shape, _, dtype = read(file)
    return None if dtype.hasobject else math.prod(shape) * dtype.itemsize
