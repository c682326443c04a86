"""TorchScript: architecture, weights and normalisation in one file for PyTorch alone."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from gat_lightning.errors import UserError
from gat_lightning.formats.base import KEY, Description, Format


class TorchScript(Format):
    """TorchScript trace in eval mode, including the normalisation."""

    suffix = ".pt"
    tolerance = 1e-6

    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        """Trace the classifier and write the file."""
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of constants in the trace; whether they matter is found out by reading
            try:
                traced = torch.jit.trace(classifier, torch.rand(2, *description.image), check_trace=False)
            except RuntimeError as error:
                raise UserError(f"format=torchscript: {type(classifier).__name__} cannot be traced: {error}") from error
            torch.jit.save(traced, path, _extra_files={KEY: description.to_json()})

    def read(self, path: Path) -> Callable[[Tensor], Tensor]:
        """Load the traced module."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
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
