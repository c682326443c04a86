"""A teacher's labels, and the file that a run keeps them in."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gat_lightning.data.npz import read_npz
from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write


@dataclass(frozen=True)
class GivenLabels:
    """What a teacher said of the images without a label.

    Attributes:
        index: their positions in the training split, long ``[n]``.
        probabilities: of the classes, float32 ``[n, K]``.
        teacher: digest of the teacher.
        images: digest of the images.
        accuracy: of the teacher on the labelled validation images; None where there are none.
    """

    index: Tensor
    probabilities: Tensor
    teacher: str
    images: str
    accuracy: float | None

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        parts = [
            self.teacher.encode(),
            self.images.encode(),
            self.index.numpy().tobytes(),
            self.probabilities.numpy().tobytes(),
        ]
        return hashlib.sha256(b"".join(parts)).hexdigest()


def write_labels(path: Path, given: GivenLabels) -> None:
    """Write labels atomically.

    Raises:
        UserError: the file cannot be written.
    """
    about = json.dumps({"teacher": given.teacher, "images": given.images, "accuracy": given.accuracy})
    try:
        with atomic_write(path) as temporary:
            np.savez(temporary, index=given.index.numpy(), probabilities=given.probabilities.numpy(), about=about)
    except OSError as error:
        raise UserError(f"'{path}' could not be written ({error.strerror}).") from error


def read_labels(path: Path) -> GivenLabels:
    """Read what :func:`write_labels` wrote.

    Raises:
        UserError: the file is damaged.
    """
    try:
        arrays = read_npz(path)
        about = json.loads(str(arrays["about"]))
        index, probabilities = (torch.from_numpy(arrays[name]) for name in ("index", "probabilities"))
        said = about["teacher"], about["images"], about["accuracy"]
    except (OSError, UserError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{path}' is damaged, or not one of ours: delete it, and its labels are made anew.") from error
    return GivenLabels(index, probabilities, *said)
