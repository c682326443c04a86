"""Initial weights of a model: read from a file without running code, and fitted to the model."""

import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gat_lightning.errors import SettingError

log = logging.getLogger(__name__)

INITIAL_WEIGHTS = ("pretrained", "weights")
"""Settings of an encoder that say what it begins with; the others make its architecture."""

_RIGHT = "a state_dict, as torch.save or safetensors writes it"

_wanted = ContextVar("_wanted", default=True)


@contextmanager
def without_initial_weights() -> Iterator[None]:
    """Encoders that are made inside leave their initial weights alone, since others follow: nothing is downloaded."""
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def initial_weights_wanted() -> bool:
    """Whether an encoder that is made now is to begin with the weights that its settings name."""
    return _wanted.get()


def read_weights(path: str | Path, name: str = "weights") -> dict[str, Tensor]:
    """A ``state_dict`` from a safetensors or a PyTorch file; nothing in it is executed.

    Args:
        path: a file that ends in ``.safetensors``, or one of ``torch.save``, whose ``state_dict`` may also be an entry
            of that name.
        name: what messages call the argument.

    Raises:
        SettingError: there is no such file, or it cannot be read or holds something else.
        ImportError: safetensors is not installed.
    """
    if not Path(path).is_file():
        raise SettingError(name, str(path), "a file that exists")
    try:
        content = _read_safetensors(path) if str(path).endswith(".safetensors") else _read_torch(path, name)
    except (SettingError, ImportError):
        raise
    except Exception as error:  # whatever a damaged file provokes
        right = f"{_RIGHT}; it cannot be read: it is damaged, or holds more than plain tensors"
        raise SettingError(name, str(path), right) from error
    if isinstance(content, dict) and "gat_lightning" in content:
        right = f"{_RIGHT}; this is a checkpoint of ours (load_classifier reads it, commands by checkpoint= or init=)"
        raise SettingError(name, str(path), right)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise SettingError(name, str(path), f"{_RIGHT}, names and tensors")
    return content


def begin_with(classifier: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Give a classifier weights of the same architecture with, at most, another number of classes or of channels.

    A last linear layer of another size stays as it is, with a log message. The first convolution is adapted to the
    classifier's number of input channels: its weights are summed for one channel, else repeated and scaled.

    Args:
        classifier: is changed in place.
        weights: its ``state_dict``.
        source: what messages call the weights.

    Raises:
        ValueError: the weights are of another architecture.
    """
    ours, taken = classifier.state_dict(), dict(weights)
    for name, module in classifier.named_modules():
        theirs = weights.get(f"{name}.weight")
        if theirs is None or theirs.shape == ours[f"{name}.weight"].shape:
            continue
        if isinstance(module, nn.Linear) and theirs.ndim == 2 and theirs.shape[1] == module.in_features:
            log.warning(
                "%s: the head '%s' for %d classes was replaced by a new one for %d.",
                source, name, len(theirs), module.out_features,
            )  # fmt: skip
            taken |= {key: ours[key] for key in ours if key.startswith(f"{name}.")}
        elif isinstance(module, nn.Conv2d) and theirs.shape[:1] + theirs.shape[2:] == (
            module.weight.shape[:1] + module.weight.shape[2:]
        ):
            taken[f"{name}.weight"] = _for_channels(theirs, module.in_channels)
    wrong = [key for key in ours if key not in taken or taken[key].shape != ours[key].shape]
    unknown = [key for key in taken if key not in ours]
    if wrong or unknown:
        reasons = [f"'{key}' is missing or has another shape" for key in wrong[:2]]
        reasons += [f"'{key}' is unknown" for key in unknown[:2]]
        raise ValueError(f"{source} is not for this {type(classifier).__name__}: {', '.join(reasons)}.")
    classifier.load_state_dict(taken)


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    """``[out, in, h, w]`` for another number of input channels, with the same response to equal channels."""
    if channels == 1:
        return weight.sum(1, keepdim=True)
    given = weight.shape[1]
    return weight[:, [channel % given for channel in range(channels)]] * (given / channels)


def _read_torch(path: str | Path, name: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        right = f"{_RIGHT}; it holds more than plain types and tensors, which could run code"
        raise SettingError(name, str(path), right) from error


def _read_safetensors(path: str | Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError("Files of safetensors need an extra: pip install 'gat-lightning[export]'") from error
    return load_file(path)
