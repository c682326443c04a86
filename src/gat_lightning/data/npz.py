"""Arrays of .npz files, whose headers are checked before memory is allocated."""

import math
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gat_lightning.data.memory import check_memory
from gat_lightning.errors import UserError

# Readers of an array's header, by version.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def npz_arrays(path: Path, *keys: str) -> dict[str, NDArray[Any]]:
    """Arrays of a file by name: those of ``keys``, mapped into memory where that can be, and nothing of others.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
            return {
                key: _array_of(path, archive.getinfo(f"{key}.npy"), file) if key in keys else np.empty(0)
                for key in file.files
            }
    except (MemoryError, UserError):
        raise
    except Exception as error:  # NumPy lets through whatever a damaged file provokes in zipfile, zlib or tokenize
        reason = str(error).split(". ")[0]  # what NumPy says after it is how to load the file unsafely
        raise UserError(f"{path} cannot be read (damaged, or not an .npz of plain arrays): {reason}") from error


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a small file that we wrote, by name.

    Raises:
        OSError: the file cannot be opened.
        UserError: the file is damaged.
    """
    with path.open("rb") as raw:
        try:
            with np.load(raw, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except MemoryError:
            raise
        except Exception as error:  # as above
            raise UserError(f"{path} is damaged: {error}") from error


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


def _array_of(path: Path, member: zipfile.ZipInfo, file: Any) -> NDArray[Any]:
    """Map the array from the file if it is stored uncompressed; otherwise read it."""
    if member.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as raw:
            raw.seek(member.header_offset + 26)  # a zip entry's fixed header ends with the lengths of name and extra
            raw.seek(sum(struct.unpack("<HH", raw.read(4))), 1)
            read_header = _HEADERS.get(np.lib.format.read_magic(raw))
            if read_header is not None:
                shape, by_columns, dtype = read_header(raw)
                if not dtype.hasobject and 0 not in shape:
                    # Copy on write: torch takes no read-only array without a warning, and nobody writes.
                    return np.memmap(path, dtype, "c", raw.tell(), shape, "F" if by_columns else "C")
    check_member(file.zip, member.filename.removesuffix(".npy"))
    array: NDArray[Any] = file[member.filename]
    return array


def _claimed_bytes(file: IO[bytes]) -> int | None:
    """Size that an array claims, in bytes; None if unknown."""
    read = _HEADERS.get(np.lib.format.read_magic(file))
    if read is None:
        return None
    shape, _, dtype = read(file)
    return None if dtype.hasobject else math.prod(shape) * dtype.itemsize
