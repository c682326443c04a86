"""Atomic writes: at any moment a file holds its old content or its new content, never a part of it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Replace a file in one move, so that a crash, a kill or a full disk leaves the old one whole.

    The block writes to a temporary file beside ``path``, which is then synced to disk and renamed. Missing parent
    folders are created. If the block raises, the temporary file is removed; only a process that is killed leaves it.

    Args:
        path: the file to write.

    Yields:
        The hidden file to write, of its own for each writer, with the suffix of ``path``.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make a renaming survive a power cut; Windows and some network file systems cannot."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
