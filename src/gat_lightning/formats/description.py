"""Description of an exported classifier, for users who did not train it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hydra.utils import instantiate
from torch import nn

from gat_lightning import __version__
from gat_lightning.errors import UserError
from gat_lightning.models.trust import check_trusted
from gat_lightning.models.weights import without_initial_weights

KEY = "gat_lightning"
"""Under which the description stands, as JSON, in a file's metadata."""


@dataclass(frozen=True)
class Description:
    """Description of a classifier.

    Attributes:
        target: name of the task.
        kind: ``multiclass``, ``binary`` or ``regression``.
        outputs: number K of outputs.
        classes: names of the classes; empty if the outputs are no classes.
        image: shape ``(C, H, W)`` of the training images.
        mean: mean per channel that is subtracted from pixels in [0, 1]; not part of the weights.
        std: standard deviation per channel that pixels are then divided by.
        encoder: settings of the function that creates the architecture; its further arguments are ``num_classes, image,
            mean, std``.
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
            content = json.loads((metadata or {})[KEY])
            named = ("classes", "image", "mean", "std")
            return cls(**{**content, **{name: tuple(content[name]) for name in named}})
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"'{source}' was not written by gat_lightning.export.") from error

    def classifier(self) -> nn.Module:
        """Create the architecture, with random weights.

        Raises:
            UserError: the function that creates it is not trusted.
        """
        check_trusted(self.encoder, "encoder")
        with without_initial_weights():
            make = instantiate({**self.encoder, "_partial_": True})
            return make(num_classes=self.outputs, image=self.image, mean=self.mean, std=self.std)
