"""Journal of an evaluation: saved after every batch, so that a kill loses at most one batch of one attack."""

from __future__ import annotations

import logging
import shutil
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gat_lightning.evaluation.predictions import write_arrays

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[np.generic]]


class Journal:
    """Finished units of work: one batch under one attack each.

    Args:
        directory: where the units are kept; None to keep them in memory.
        fingerprint: of all that the results depend on. Units of another fingerprint are thrown away.
        resume: whether to take over what is there.
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
        """What a unit gave; None if it is not finished."""
        if self._directory is None:
            return self._memory.get((view, member, batch))
        try:
            with np.load(self._path(view, member, batch), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def done(self, view: str, member: str) -> int:
        """How many units of an attack are finished."""
        if self._directory is None:
            return sum(key[:2] == (view, member) for key in self._memory)
        return len(list((self._directory / view).glob(f"{member}-*.npz")))

    def put(self, view: str, member: str, batch: int, arrays: Arrays) -> None:
        """Keep what a unit gave."""
        if self._directory is None:
            self._memory[view, member, batch] = arrays
            return
        write_arrays(self._path(view, member, batch), arrays)

    def close(self) -> None:
        """Remove the directory, once the results are elsewhere."""
        if self._directory is not None:
            shutil.rmtree(self._directory)

    def _path(self, view: str, member: str, batch: int) -> Path:
        assert self._directory is not None
        return self._directory / view / f"{member}-{batch:05d}.npz"
