"""Cache of decoded pictures, which later runs map into memory."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from gat_lightning.data.pictures import decode_pictures
from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write

log = logging.getLogger(__name__)

# To be raised when :func:`~gat_lightning.data.pictures.decode_picture` makes other pixels of a file.
_VERSION = 2

_CHUNK = 256
_PIXELS, _CONTENT = "pixels.bin", "content.json"


class CachedPictures(NamedTuple):
    """Decoded pictures of a cache.

    Attributes:
        images: uint8 ``[N, C, H, W]``, channels last in memory, mapped from the file.
        unreadable: reasons of unreadable pictures, by position; their pixels are 0.
    """

    images: Tensor
    unreadable: dict[int, str]


class PictureCache:
    """Cache folder of the decoded pictures of a list of files, in one size.

    The folder's name contains a hash of the list with every file's size and modification time, so that other or changed
    files never match. The cache is created atomically, and made again if its files are missing or truncated.

    Args:
        folder: folder of the caches.
        name: name of the data set.
        root: folder that the paths are relative to; it is not part of the hash.
        paths: paths of the N files.
        size: height and width in pixels.
        channels: 1 or 3.
    """

    def __init__(
        self, folder: Path, name: str, root: Path, paths: Sequence[str], size: tuple[int, int], channels: int
    ) -> None:
        self._files = [os.path.join(root, path) for path in paths]
        self._size, self._channels = size, channels
        key = hashlib.sha256(repr((_VERSION, name, size, channels)).encode())
        for path, file in zip(paths, self._files, strict=True):
            key.update(f"\n{path}\0{_state(file)}".encode())
        self._folder = folder
        self.path = folder / f"{name}-{size[0]}x{size[1]}x{channels}-{key.hexdigest()[:16]}"

    def exists(self) -> bool:
        """Whether the cache exists and is complete."""
        return self._unreadable() is not None

    def _unreadable(self) -> dict[int, str] | None:
        """Reasons of the unreadable pictures; ``None`` if the cache is not there, or a file of it is not whole."""
        try:
            content = json.loads((self.path / _CONTENT).read_text())
            stored = content["pictures"], (self.path / _PIXELS).stat().st_size
            unreadable = {int(position): str(reason) for position, reason in content["unreadable"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return unreadable if stored == (len(self._files), self._bytes) else None

    @property
    def _bytes(self) -> int:
        return len(self._files) * self._channels * self._size[0] * self._size[1]

    def build(self, progress: bool = False) -> None:
        """Decode all files, unless the cache exists. An incomplete one is replaced with a warning.

        Args:
            progress: whether to show a progress bar.

        Raises:
            UserError: the folder cannot be written to, or has too little space.
        """
        if self.exists():
            return
        if self.path.exists():
            log.warning("data.cache: %s is incomplete, as after an interrupted copy; it is made again", self.path)
        needed = self._bytes
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            if needed > free:
                raise UserError(
                    f"data.cache: {len(self._files):,} pictures need {needed / 2**30:.1f} GiB, and"
                    f" {self._folder.absolute()} has {free / 2**30:.1f} GiB left"
                )
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self._folder))
            try:
                self._write(partial, progress)
                self._publish(partial)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise UserError(f"data.cache: {self._folder.absolute()} cannot be written to: {error.strerror}") from error

    def _write(self, folder: Path, progress: bool) -> None:
        unreadable: dict[int, str] = {}
        starts = range(0, len(self._files), _CHUNK)
        with (folder / _PIXELS).open("wb") as file:
            for start in track(starts, "Writing data.cache", disable=not progress):
                chunk = self._files[start : start + _CHUNK]
                images, failed = decode_pictures(chunk, self._size, self._channels)
                images[list(failed)] = 0
                file.write(images.permute(0, 2, 3, 1).numpy().tobytes())
                unreadable |= {start + position: reason for position, reason in failed.items()}
            file.flush()
            os.fsync(file.fileno())
        with atomic_write(folder / _CONTENT) as content:
            content.write_text(json.dumps({"pictures": len(self._files), "unreadable": unreadable}))

    def _publish(self, partial: Path) -> None:
        partial.chmod(0o755)
        try:
            if not self.exists():
                self._remove_incomplete(partial.with_name(f"{partial.name}-replaced"))
            partial.rename(self.path)
        except OSError:  # another process was faster
            if not self.exists():
                raise

    def _remove_incomplete(self, aside: Path) -> None:
        if self.path.exists():
            self.path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    def open(self) -> CachedPictures:
        """The pictures; :meth:`build` must have been called."""
        unreadable = self._unreadable()
        assert unreadable is not None, f"{self.path} is incomplete"
        shape = (len(self._files), *self._size, self._channels)
        # Copy on write: torch takes no read-only array without a warning, and nobody writes.
        pixels = np.memmap(self.path / _PIXELS, np.uint8, "c", shape=shape)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return CachedPictures(images, unreadable)


def _state(file: str) -> str:
    try:
        status = os.stat(file)
    except OSError:
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns}"
