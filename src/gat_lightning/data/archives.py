"""Official archives of data sets: downloaded, verified by checksum, and unpacked."""

import hashlib
import logging
import shutil
import tarfile
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import wrap_file
from torchvision.datasets.utils import check_integrity

from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write

log = logging.getLogger(__name__)

# Seconds without an answer after which a download fails.
_TIMEOUT = 10


class OfficialArchive(NamedTuple):
    """Official archive of a data set, and the folder that it unpacks to.

    Attributes:
        title: name of the data set.
        source: torchvision's class, which has the names, the address and the MD5 sums of the official files.
        page: home page of the data set.
        size: size of the archive, as text.
        root: folder of the archive and of the unpacked folder.
    """

    title: str
    source: Any
    page: str
    size: str
    root: Path

    @property
    def folder(self) -> Path:
        """Folder of the unpacked files."""
        return self.root / self.source.base_folder

    @property
    def archive(self) -> Path:
        """The archive."""
        return self.root / self.source.filename

    def prepare(self, names: Iterable[str], download: bool) -> None:
        """Download and unpack what is missing.

        Args:
            names: names of the unpacked files that are needed.
            download: whether to download the archive if neither it nor the files exist.

        Raises:
            UserError: no files and no download, or a damaged archive.
        """
        if all((self.folder / name).is_file() for name in names):
            return
        if not self.archive.is_file():
            if not download:
                raise UserError(self._how_to_get(f"{self.title} is not there and data.download is false"))
            try:
                self._fetch()
            except (OSError, EOFError) as error:
                raise UserError(
                    self._how_to_get(f"{self.title} is not there and cannot be downloaded ({error})")
                ) from error
        if not check_integrity(self.archive, self.source.tgz_md5):
            raise UserError(
                f"{self.archive.absolute()} is damaged or not the official file (its MD5 sum is not"
                f" {self.source.tgz_md5}); delete it, then start again or put the official one there"
            )
        with tarfile.open(self.archive) as archive:
            archive.extractall(self.root, filter="data")

    def content(self, name: str, md5: str) -> bytearray:
        """Content of an unpacked file, verified by its MD5 sum.

        Raises:
            UserError: it is damaged.
        """
        path = self.folder / name
        content = bytearray(path.stat().st_size)
        with path.open("rb") as file:
            file.readinto(content)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise UserError(
                f"{path.absolute()} is damaged or not the official file (its MD5 sum is not {md5}); delete"
                f" {self.folder.absolute()}, then start again: {self.source.filename} in {self.root.absolute()} is"
                " unpacked, or downloaded if it is not there"
            )
        return content

    def _fetch(self) -> None:
        with urllib.request.urlopen(self.source.url, timeout=_TIMEOUT) as source:
            log.info("Downloading %s to %s (%s)", self.source.url, self.archive.absolute(), self.size)
            total = int(source.headers.get("Content-Length") or 0)
            with (
                atomic_write(self.archive) as temporary,
                temporary.open("wb") as file,
                wrap_file(source, total, description=self.source.filename) as read,
            ):
                shutil.copyfileobj(read, file)

    def _how_to_get(self, what: str) -> str:
        return (
            f"{what}. Put {self.source.filename} from {self.page} at {self.archive.absolute()}, or the unpacked files"
            f" in {self.folder.absolute()}/, or set data.root to where they are; data=digits needs no files"
        )
