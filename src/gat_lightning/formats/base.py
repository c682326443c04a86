"""Base class of the file formats for classifiers, and the description that such a file holds."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.utils import instantiate
from torch import Tensor, nn

from gat_lightning import __version__
from gat_lightning.errors import UserError
from gat_lightning.info import PatientSplit
from gat_lightning.models.encoder import copied
from gat_lightning.models.trust import check_trusted
from gat_lightning.models.weights import METADATA_KEY, without_initial_weights


class Format(ABC):
    """Export format: writes a classifier into one self-contained file, and reads it back.

    Attributes:
        suffix: suffix of the file name.
        tolerance: largest difference between the file's and the classifier's logits that counts as rounding, relative
            to the largest logit if that is above 1.
    """

    suffix: ClassVar[str]
    tolerance: ClassVar[float]

    @abstractmethod
    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        """Write the classifier (in eval mode, on the CPU) and its description.

        Raises:
            UserError: a package is missing, or the format does not support the classifier.
        """

    @abstractmethod
    def read(self, path: Path) -> Callable[[Tensor], Tensor]:
        """Read the file as a function from images ``[B, C, H, W]`` in [0, 1] to the output ``[B, K]``, for any B.

        Raises:
            UserError: a package is missing, or the file cannot be read.
        """

    @abstractmethod
    def usage(self, path: Path, description: Description) -> str:
        """Python code that uses the file."""


@dataclass(frozen=True)
class Description:
    """Description of a classifier.

    Attributes:
        target: name of the task.
        kind: ``multiclass``, ``binary`` or ``regression``.
        outputs: number K of outputs.
        classes: names of the classes; empty if the outputs are no classes.
        image: shape ``(C, H, W)`` of the training images.
        mean: mean per channel that :class:`~gat_lightning.models.Normalize` or
            :func:`~gat_lightning.models.normalized` subtracts from pixels in [0, 1]; not part of the weights. 0 for a
            classifier with neither, which takes such pixels as they are or normalises them itself.
        std: standard deviation per channel that pixels are then divided by; 1 for such a classifier.
        encoder: settings of the function that creates the architecture; its further arguments are ``num_classes, image,
            mean, std``, of which the settings may hold the last two.
        patients: settings of its training's splits, of data that are split by patient.
        inputs: description of the expected input.
        version: version of gat_lightning.
    """

    target: str
    kind: str
    outputs: int
    classes: tuple[str, ...]
    image: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    encoder: dict[str, Any]
    patients: PatientSplit | None = None
    inputs: str = "float32 [batch, channels, height, width], pixels in [0, 1]"
    version: str = __version__

    def to_json(self) -> str:
        """Serialise the description for a file's metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str] | None, source: object) -> Description:
        """Read the description from a file's metadata.

        Raises:
            UserError: the metadata have no description by gat_lightning.
        """
        try:
            content = json.loads((metadata or {})[METADATA_KEY])
            named = ("classes", "image", "mean", "std")
            patients = content.pop("patients", None)
            content |= {name: tuple(content[name]) for name in named}
            return cls(**content, patients=None if patients is None else PatientSplit(**patients))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"'{source}' was not written by gat_lightning.export.") from error

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the function that creates the architecture."""
        given = {"num_classes": self.outputs, "image": self.image, "mean": self.mean, "std": self.std}
        return given | {key: value for key, value in self.encoder.items() if not key.startswith("_")}

    def classifier(self) -> nn.Module:
        """Create the architecture, in float32 and with random weights.

        Raises:
            UserError: the function that creates it is not trusted.
        """
        try:
            check_trusted(self.encoder, "encoder")
        except ValueError as error:
            raise UserError(str(error)) from error
        with without_initial_weights():
            make = instantiate({**self.encoder, "_partial_": True})
            return make(**self.arguments).float()


def in_single_precision(classifier: nn.Module) -> nn.Module:
    """A copy in float32, the type of the images that a file takes, and of evaluations."""
    return copied(classifier).float()
