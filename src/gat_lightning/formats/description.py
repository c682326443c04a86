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
    """A classifier in words and numbers.

    Attributes:
        target: name of its task.
        kind: ``multiclass``, ``binary`` or ``regression``.
        outputs: K.
        classes: names of the outputs; empty where they are none.
        image: ``(C, H, W)`` that it was trained on.
        mean: what is taken off pixels in [0, 1] first, per channel; not part of the weights.
        std: what they are divided by then.
        encoder: settings of the function that makes the architecture; it is called with ``num_classes, image, mean,
            std`` too.
        inputs: what to give it.
        version: of gat_lightning.
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
        """As text, for a file's metadata."""
        return json.dumps(asdict(self))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str] | None, source: object) -> Description:
        """From a file's metadata.

        Raises:
            UserError: it has none of ours.
        """
        try:
            content = json.loads((metadata or {})[KEY])
            named = ("classes", "image", "mean", "std")
            return cls(**{**content, **{name: tuple(content[name]) for name in named}})
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"'{source}' was not written by gat_lightning.export.") from error

    def classifier(self) -> nn.Module:
        """The architecture, with weights that mean nothing yet.

        Raises:
            UserError: the function that makes it is not trusted.
        """
        check_trusted(self.encoder, "encoder")
        with without_initial_weights():
            make = instantiate({**self.encoder, "_partial_": True})
            return make(num_classes=self.outputs, image=self.image, mean=self.mean, std=self.std)
