"""Journal of an evaluation: saved after every batch, so that a kill loses at most one batch of one attack."""

import logging
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gat_lightning.data.npz import read_npz
from gat_lightning.errors import UserError
from gat_lightning.evaluation.predictions import write_arrays

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[np.generic]]


class Journal:
    """Journal of finished units of work, each one batch under one attack.

    Args:
        directory: folder of the units; None: keep them in memory.
        fingerprint: hash of everything that the results depend on. Units with another fingerprint are discarded.
        resume: whether to use existing units.
    """

    def __init__(self, directory: Path | None = None, fingerprint: str = "", resume: bool = True) -> None:
        self._directory = directory
        self._memory: dict[tuple[str, str, int], Arrays] = {}
        if directory is None:
            return
        mark = directory / "fingerprint.txt"
        if directory.exists() and not (resume and mark.is_file() and mark.read_text() == fingerprint):
            if resume:
                log.warning("%s is of another model or other settings: the evaluation begins anew.", directory)
            shutil.rmtree(directory)
        if not directory.exists():
            directory.mkdir(parents=True)
            mark.write_text(fingerprint)

    def get(self, view: str, member: str, batch: int) -> Arrays | None:
        """Result of a unit; None if it is not finished."""
        if self._directory is None:
            return self._memory.get((view, member, batch))
        try:
            return read_npz(self._path(view, member, batch)) or None
        except (FileNotFoundError, UserError):
            return None

    def done(self, view: str, member: str) -> int:
        """Number of finished units of an attack."""
        if self._directory is None:
            return sum(key[:2] == (view, member) for key in self._memory)
        return len(list((self._directory / view).glob(f"{member}-*.npz")))

    def put(self, view: str, member: str, batch: int, arrays: Arrays) -> None:
        """Store the result of a unit."""
        if self._directory is None:
            self._memory[view, member, batch] = arrays
            return
        write_arrays(self._path(view, member, batch), arrays)

    def close(self) -> None:
        """Remove the directory, after the results are saved elsewhere."""
        if self._directory is not None:
            shutil.rmtree(self._directory)

    def _path(self, view: str, member: str, batch: int) -> Path:
        assert self._directory is not None
        return self._directory / view / f"{member}-{batch:05d}.npz"
