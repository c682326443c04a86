"""Normalisation of pixels as a model's first layer, so that attacks and ε stay in pixel units."""

import logging
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from gat_lightning.validate import check_normalization

log = logging.getLogger(__name__)

# Buffers of a classifier, with names that are none of its own: SAM and Detectron2 have a ``pixel_mean``.
_MEAN, _STD = "gat_lightning_mean", "gat_lightning_std"

Module = TypeVar("Module", bound=nn.Module)


class Normalization(NamedTuple):
    """Mean and standard deviation per channel, of pixels in [0, 1]."""

    mean: list[float]
    std: list[float]


class Normalize(nn.Module):
    """``(x - mean) / std`` per channel.

    Mean and standard deviation are not part of the ``state_dict``, so a classifier keeps its keys with it.

    Args:
        mean: one value per channel, of pixels in [0, 1].
        std: likewise, above 0.

    Shape:
        ``[..., C, H, W]`` -> the same.

    Raises:
        SettingError: ``mean`` and ``std`` differ in length, or are not of pixels in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        mean_values, std_values = _per_channel(mean, std)
        self.register_buffer("mean", mean_values, persistent=False)
        self.register_buffer("std", std_values, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise images."""
        return _normalize(x, self.mean, self.std)

    def extra_repr(self) -> str:
        """The constants, for ``print(model)``."""
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"


def normalized(classifier: Module, mean: Sequence[float], std: Sequence[float]) -> Module:
    """Make normalisation the first thing that an existing classifier does to its input.

    The classifier is changed in place and returned, as by ``torch.nn.utils``. It keeps its class, its modules and its
    ``state_dict`` keys: a forward pre-hook normalises, with constants in non-persistent buffers of the classifier,
    which therefore follow ``.to(device)`` and ``copy.deepcopy``. A hook runs where the classifier is *called*, not
    where one of its methods is.

    Args:
        classifier: takes normalised images ``[B, C, H, W]``; afterwards it takes images in [0, 1].
        mean: one value per channel, of pixels in [0, 1].
        std: likewise, above 0.

    Returns:
        The same classifier.

    Raises:
        SettingError: ``mean`` and ``std`` differ in length, or are not of pixels in [0, 1].
        ValueError: the classifier normalises already.
    """
    if normalization_of(classifier) is not None:
        raise ValueError(f"{type(classifier).__name__} normalises its input already")
    mean_values, std_values = _per_channel(mean, std)
    weight = next((p for p in classifier.parameters() if p.is_floating_point()), mean_values)
    classifier.register_buffer(_MEAN, mean_values.to(weight), persistent=False)
    classifier.register_buffer(_STD, std_values.to(weight), persistent=False)
    classifier.register_forward_pre_hook(_normalize_input, prepend=True)
    return classifier


def normalization_of(model: nn.Module) -> Normalization | None:
    """Mean and standard deviation of a classifier made by :func:`normalized` or with a `Normalize` layer.

    The classifier may be a part of the model, as in a `MultiTaskModel`. None where there is none.
    """
    found = _constants(model)
    return None if found is None else Normalization(*(values.flatten().tolist() for values in found))


def replace_normalization(model: nn.Module, normalization: Normalization) -> None:
    """Change what :func:`normalization_of` finds, in place.

    Raises:
        SettingError: the new constants are not of pixels in [0, 1].
        ValueError: the model does not normalise, or normalises another number of channels.
    """
    found, new = _constants(model), _per_channel(*normalization)
    if found is None or len(found[0]) != len(new[0]):
        raise ValueError(f"{type(model).__name__} does not normalise images of {len(new[0])} channels")
    for old, values in zip(found, new, strict=True):
        old.copy_(values)


def per_channel(normalization: Normalization, channels: int) -> Normalization:
    """One value per channel: the values, or their mean for each channel where there are not as many."""
    given = len(normalization.mean)
    if given == channels:
        return normalization
    mean, std = (sum(values) / given for values in normalization)
    if given > 1:
        log.info(
            "Images of %d channels: normalised with the mean over %d channels, %.4g and %.4g",
            channels,
            given,
            mean,
            std,
        )
    return Normalization([mean] * channels, [std] * channels)


def _constants(model: nn.Module) -> tuple[Tensor, Tensor] | None:
    for module in model.modules():
        if isinstance(module, Normalize):
            return module.mean, module.std
        if _normalize_input in module._forward_pre_hooks.values():
            return module.get_buffer(_MEAN), module.get_buffer(_STD)
    return None


def _normalize_input(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    images, *rest = args
    return (_normalize(images, module.get_buffer(_MEAN), module.get_buffer(_STD)), *rest)


def _normalize(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    # Broadcasting would turn a grey image into a coloured one. A trace holds no branches.
    if not torch.jit.is_tracing() and x.shape[-3] != len(mean):  # type: ignore[attr-defined]
        raise ValueError(f"normalisation is for {len(mean)} channels, the images have {x.shape[-3]}")
    return (x - mean) / std


def _per_channel(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    check_normalization(mean, std)
    return (
        torch.tensor(list(mean), dtype=torch.get_default_dtype()).view(-1, 1, 1),
        torch.tensor(list(std), dtype=torch.get_default_dtype()).view(-1, 1, 1),
    )
