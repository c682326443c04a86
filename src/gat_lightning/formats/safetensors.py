"""safetensors: the ``state_dict`` alone, under the keys of the original architecture."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from gat_lightning.errors import UserError
from gat_lightning.formats.base import Description, Format
from gat_lightning.models.weights import METADATA_KEY, read_weights

_MISSING = "format=safetensors needs an extra: pip install 'gat-lightning[export]'"


class Safetensors(Format):
    """The ``state_dict``, readable without gat_lightning; the metadata describe the architecture."""

    suffix = ".safetensors"
    tolerance = 1e-6

    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        """Write the ``state_dict``; tensors that share memory are written under each name."""
        try:
            from safetensors.torch import save
        except ImportError as error:
            raise UserError(_MISSING) from error
        tensors = {name: value.detach().clone().contiguous() for name, value in classifier.state_dict().items()}
        path.write_bytes(save(tensors, {"format": "pt", METADATA_KEY: description.to_json()}))

    def read(self, path: Path) -> Callable[[Tensor], Tensor]:
        """Create the classifier from the description and load its weights."""
        return read_classifier(path)[0]

    def usage(self, path: Path, description: Description) -> str:
        """Code that uses the function of the architecture."""
        module, _, name = description.encoder["_target_"].rpartition(".")
        arguments = ", ".join(f"{key}={value!r}" for key, value in description.arguments.items())
        return (
            f"from safetensors.torch import load_file\n"
            f"from {module} import {name}\n"
            f"model = {name}({arguments}).eval()\n"
            f"model.load_state_dict(load_file({str(path)!r}))  # then model(images in [0, 1]) -> logits"
        )


def read_description(path: str | Path) -> Description:
    """Read the description in a safetensors file written by gat_lightning.

    Raises:
        UserError: the file does not exist, was not written by gat_lightning, or safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise UserError(_MISSING) from error
    try:
        with safe_open(path, "pt") as file:
            return Description.from_metadata(file.metadata(), path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"'{path}' cannot be read as a safetensors file: {error}.") from error


def read_classifier(path: str | Path) -> tuple[nn.Module, Description]:
    """Read a safetensors file written by gat_lightning: the classifier in eval mode, and its description.

    Raises:
        UserError: see :func:`read_description`, or the weights are of another architecture.
    """
    description = read_description(path)
    classifier = description.classifier()
    try:
        classifier.load_state_dict(read_weights(path, "checkpoint"))
    except RuntimeError as error:
        raise UserError(f"'{path}' does not hold the weights that its description promises: {error}") from error
    return classifier.eval(), description
