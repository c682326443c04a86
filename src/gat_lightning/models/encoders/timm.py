"""Classifiers of timm (PyTorch Image Models) by name, with weights whose checksums are verified."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from torch import nn

from gat_lightning.errors import SettingError
from gat_lightning.models.normalize import Normalization, normalized, per_channel
from gat_lightning.models.weights import (
    begin_with,
    chosen_normalization,
    initial_weights_wanted,
    read_weights,
    settings_without_network,
)
from gat_lightning.nearest import did_you_mean, nearest

_FILE = "model.safetensors"
_BLOCK = 2**20


def timm_classifier(
    *,
    num_classes: int,
    image: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str,
    pretrained: bool | str = False,
    weights: str | None = None,
) -> nn.Module:
    """A classifier of timm for images in [0, 1], of its own class and with its own ``state_dict`` keys.

    timm adapts the first layer to the image's channels, and models of a fixed size (transformers) to its size.

    Args:
        num_classes: outputs of the last linear layer.
        image: ``(C, H, W)`` of the images.
        mean: per channel, of pixels in [0, 1]. None: that of the initial weights, see
            :func:`~gat_lightning.models.weights.chosen_normalization`.
        std: likewise, above 0; given with ``mean``.
        name: as in ``timm.list_models()``, such as ``resnet50``.
        pretrained: False, True for the default weights, or the name of some, such as ``a1_in1k``.
        weights: file with a ``state_dict`` (``torch.save`` or safetensors), see
            :func:`~gat_lightning.models.weights.begin_with`.

    Shape:
        ``[B, C, H, W]`` -> ``[B, num_classes]``.

    Raises:
        ImportError: timm is not installed.
        SettingError: there are no such model or weights, or the model cannot be made for such images.
        ValueError: the weights cannot be had or do not fit.
    """
    timm = _timm()
    if pretrained and weights is not None:
        raise ValueError("pretrained and weights exclude each other: set one of them.")
    tagged = _tagged(timm, name, pretrained)
    preset = timm.models.get_pretrained_cfg(tagged)
    published = Normalization(list(preset.mean), list(preset.std))
    size = {"img_size": image[1:]} if preset.fixed_input_size else {}
    download = bool(pretrained) and initial_weights_wanted()
    try:
        # The file that was checked, and no other that timm might find for these weights.
        source = {"file": str(checked_weights(preset.hf_hub_id)), "custom_load": False} if download else {}
        classifier = timm.create_model(
            tagged, download, pretrained_cfg_overlay=source, num_classes=num_classes, in_chans=image[0], **size
        )
    except Exception as error:  # whatever a download provokes
        reason = " ".join(str(error).split())
        if download:
            raise ValueError(
                f"The weights of {tagged} cannot be had ({reason}). Without a network, give a file of them:"
                f" {settings_without_network(published)}."
            ) from error
        right = f"a classifier that can be made for images of shape {image} ({reason})"
        raise SettingError("name", name, right) from error
    if weights is not None and initial_weights_wanted():
        begin_with(classifier, read_weights(weights), f"weights={weights}")
    found = chosen_normalization(mean, std, published, pretrained=pretrained, weights=weights)
    return normalized(classifier, *per_channel(found, image[0]))


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise ImportError("Classifiers of timm need an extra: pip install 'gat-lightning[encoders]'") from error
    return timm


def _tagged(timm: ModuleType, name: str, pretrained: bool | str) -> str:
    """The name, with that of the weights."""
    if not timm.is_model(name):
        meant = did_you_mean(nearest(name, timm.list_models()), otherwise=", such as resnet50")
        raise SettingError("name", name, f"a classifier of timm{meant}")
    if not pretrained:
        return name
    listed = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    available = [each.partition(".")[2] for each in listed if timm.models.get_pretrained_cfg(each).hf_hub_id]
    if not available:
        raise SettingError("pretrained", pretrained, f"false, since timm has no weights for {name}")
    if pretrained is True:
        return name
    if pretrained not in available:
        raise SettingError("pretrained", pretrained, f"true or one of: {', '.join(available)}")
    return f"{name.partition('.')[0]}.{pretrained}"


def checked_weights(repository: str) -> Path:
    """The weights of a repository of the Hugging Face Hub, downloaded unless they are cached, with a verified checksum.

    The Hub's client itself compares nothing but the length of a file.

    Args:
        repository: such as ``timm/resnet50.a1_in1k``.

    Returns:
        A file of safetensors.

    Raises:
        ValueError: its SHA-256 checksum differs from the Hub's.
        Exception: whatever the client raises where the file cannot be had.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    path = Path(hf_hub_download(repository, _FILE))
    said = path.resolve().name  # in the cache, files have their sums as names, and links lead there
    if not re.fullmatch("[0-9a-f]{64}", said):  # a file system without links
        said = str(get_hf_file_metadata(hf_hub_url(repository, _FILE)).etag)
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    if found.hexdigest() != said:
        raise ValueError(
            f"{path.resolve()} has the SHA-256 sum {found.hexdigest()}, not {said}; delete it and try again"
        )
    return path
