"""TorchScript: architecture, weights and normalisation in one file for PyTorch alone."""

import json
import logging
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from gat_lightning.errors import UserError
from gat_lightning.formats.base import Description, Format, in_single_precision
from gat_lightning.models.weights import METADATA_KEY

log = logging.getLogger(__name__)

_TracerWarning = torch.jit.TracerWarning  # type: ignore[attr-defined]


class TorchScript(Format):
    """TorchScript trace in eval mode and float32, including the normalisation.

    A trace holds the operations of one pass: branches that depend on pixels or sizes are fixed as that pass took them.
    The tracer's warnings of such places are logged.
    """

    suffix = ".pt"
    tolerance = 1e-6

    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        """Trace the classifier and write the file."""
        images = torch.rand(2, *description.image, generator=torch.Generator().manual_seed(0))
        with warnings.catch_warnings(record=True) as said, torch.no_grad():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", _TracerWarning)
            _TracerWarning.ignore_lib_warnings()
            try:
                traced = torch.jit.trace(in_single_precision(classifier), images, check_trace=False)
            except RuntimeError as error:
                raise UserError(f"format=torchscript: {type(classifier).__name__} cannot be traced: {error}") from error
            torch.jit.save(traced, path, _extra_files={METADATA_KEY: description.to_json()})
        _log(said)

    def read(self, path: Path) -> Callable[[Tensor], Tensor]:
        """Load the traced module."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.load` is")  # of a category that depends on torch's version
            return torch.jit.load(path, map_location="cpu")

    def usage(self, path: Path, description: Description) -> str:
        """Code that needs only PyTorch."""
        images = f"torch.rand(8, {', '.join(map(str, description.image))})"
        return (
            f"import torch\n"
            f"model = torch.jit.load({str(path)!r})\n"
            f"classes = {json.dumps(description.classes)}\n"
            f"logits = model({images})  # images in [0, 1]"
        )


def _log(said: Iterable[warnings.WarningMessage]) -> None:
    """Log each of the tracer's warnings once."""
    for place, text in dict.fromkeys((f"{each.filename}:{each.lineno}", str(each.message)) for each in said):
        log.warning("format=torchscript: %s: %s", place, text)
