"""Classifiers of torchvision by name."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

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


def torchvision_classifier(
    *,
    num_classes: int,
    image: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str,
    pretrained: bool | str = False,
    weights: str | None = None,
) -> nn.Module:
    """A classifier of torchvision for images in [0, 1], of its own class and with its own ``state_dict`` keys.

    Auxiliary classifiers (GoogLeNet, Inception) are left out. The first convolution takes the image's channels, vision
    transformers its size.

    Args:
        num_classes: outputs of the last linear layer.
        image: ``(C, H, W)`` of the images.
        mean: per channel, of pixels in [0, 1]. None: that of the initial weights, see
            :func:`~gat_lightning.models.weights.chosen_normalization`.
        std: likewise, above 0; given with ``mean``.
        name: as in ``torchvision.models.list_models()``, such as ``resnet50``.
        pretrained: False, True for the default weights, or the name of some, such as ``IMAGENET1K_V2``.
        weights: file with a ``state_dict`` (``torch.save`` or safetensors), see
            :func:`~gat_lightning.models.weights.begin_with`.

    Shape:
        ``[B, C, H, W]`` -> ``[B, num_classes]``.

    Raises:
        SettingError: there are no such model or weights, or the model cannot be made for such images.
        ValueError: the weights cannot be had or do not fit.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        meant = did_you_mean(nearest(name, known), otherwise=", such as resnet50")
        raise SettingError("name", name, f"a classifier of torchvision{meant}")
    if pretrained and weights is not None:
        raise ValueError("pretrained and weights exclude each other: set one of them.")
    build = models.get_model_builder(name)
    takes = inspect.signature(get_type_hints(build)["return"]).parameters
    settings: dict[str, Any] = {"aux_logits": False, "transform_input": False, "init_weights": True}
    settings = {key: value for key, value in settings.items() if key in takes}
    own_size = {"image_size": image[1]} if "image_size" in takes else {}
    if own_size and image[1] != image[2]:
        raise SettingError(
            "name", name, f"a classifier that takes {image[1]} x {image[2]} pixels, not only square images"
        )
    try:
        classifier = build(weights=None, num_classes=num_classes, **settings, **own_size)
    except (ValueError, RuntimeError, AssertionError) as error:
        right = f"a classifier that can be made for images of shape {image} ({error})"
        raise SettingError("name", name, right) from error
    _take_channels(classifier, image[0])
    chosen = _weights(name, pretrained)
    preset = chosen.transforms()
    # GoogLeNet and Inception rescale what was normalised for ImageNet by a layer that is left out here.
    own = ([0.5] * 3, [0.5] * 3) if "transform_input" in takes else (list(preset.mean), list(preset.std))
    published = Normalization(*own)
    if pretrained and initial_weights_wanted():
        begin_with(classifier, _download(build, chosen, settings, published), f"{name} ({chosen.name})")
    elif weights is not None and initial_weights_wanted():
        begin_with(classifier, read_weights(weights), f"weights={weights}")
    found = chosen_normalization(mean, std, published, pretrained=pretrained, weights=weights)
    return normalized(classifier, *per_channel(found, image[0]))


def _weights(name: str, pretrained: bool | str) -> Any:
    from torchvision import models

    available = models.get_model_weights(name)
    if isinstance(pretrained, bool):
        return available.DEFAULT
    if pretrained not in available.__members__:
        raise SettingError("pretrained", pretrained, f"true or one of: {', '.join(available.__members__)}")
    return available[pretrained]


def _download(
    build: Callable[..., nn.Module], weights: Any, settings: dict[str, Any], normalization: Normalization
) -> dict[str, Any]:
    """The ``state_dict``, with the names of today's torchvision."""
    try:
        return build(weights=weights, **settings).state_dict()
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{weights.url} cannot be downloaded ({' '.join(str(error).split())}). Without a network, give a file of"
            f" these weights: {settings_without_network(normalization)}."
        ) from error


def _take_channels(classifier: nn.Module, channels: int) -> None:
    """Replace the first convolution by one for so many input channels, if it is for another number."""
    path, stem = next((path, module) for path, module in classifier.named_modules() if isinstance(module, nn.Conv2d))
    if stem.in_channels == channels:
        return
    settings = {
        key: getattr(stem, key)
        for key in ("out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    }
    classifier.set_submodule(path, nn.Conv2d(channels, **settings, bias=stem.bias is not None))
