"""Initial weights of a model: read from a file without running code, and fitted to the model."""

import json
import logging
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gat_lightning.errors import SettingError
from gat_lightning.models.normalize import Normalization
from gat_lightning.validate import check_normalization

log = logging.getLogger(__name__)

INITIAL_WEIGHTS = ("pretrained", "weights")
"""Settings of an encoder that say what it begins with; the others make its architecture."""

METADATA_KEY = "gat_lightning"
"""Under which an export's description stands, as JSON, in the metadata of its file."""

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


def read_normalization(path: str | Path) -> Normalization | None:
    """What the weights of a file were normalised with, as an export of ours says; None where the file does not say.

    Args:
        path: of :func:`read_weights`.

    Raises:
        SettingError: the file says something that is no normalisation of pixels in [0, 1].
    """
    if not str(path).endswith(".safetensors"):
        return None
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if METADATA_KEY not in metadata:
        return None
    try:
        description = json.loads(metadata[METADATA_KEY])
        said = Normalization(list(description["mean"]), list(description["std"]))
        check_normalization(*said)
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(
            "weights", str(path), f"an undamaged export: its description cannot be read ({error})"
        ) from error
    return said


def chosen_normalization(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    published: Normalization,
    *,
    pretrained: bool | str,
    weights: str | None,
) -> Normalization:
    """What a classifier is normalised with: as given, else what its initial weights were trained with.

    That is what an export of ours (safetensors) says; for any other file, and for published weights, what the library
    says of the weights that it publishes for this architecture.

    Args:
        mean: as given for the classifier; None for that of the initial weights.
        std: likewise.
        published: of the library's weights, those that were chosen or else the default ones.
        pretrained: the classifier's setting.
        weights: the classifier's setting.

    Raises:
        SettingError: only one is given, they are not of pixels in [0, 1], or there are no weights to take them from.
    """
    check_normalization(mean, std)
    if mean is not None and std is not None:
        given = Normalization(list(mean), list(std))
        if pretrained and initial_weights_wanted() and given != published:
            log.warning(
                "Images are normalised with mean %s and std %s, and the pretrained weights were trained with mean %s"
                " and std %s: leave mean and std out (null) unless that is meant.", *given, *published,
            )  # fmt: skip
        return given
    if not pretrained and weights is None:
        raise SettingError("mean", None, "given, since there are no initial weights whose normalisation could be taken")
    if weights is None or not initial_weights_wanted():
        return published
    said = read_normalization(weights)
    log.info(
        "weights=%s: images are normalised with mean %s and std %s, as %s. Set mean and std if these"
        " weights were trained with others.",
        weights, *(said or published), "the file says" if said else "published weights of this architecture are",
    )  # fmt: skip
    return said or published


def settings_without_network(published: Normalization) -> str:
    """Settings that stand for ``pretrained`` where the weights, normalised as ``published``, are in a file."""
    return f"pretrained=false weights=FILE mean={published.mean} std={published.std}".replace(", ", ",")


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
