"""Normalisation of pixels as a model's first layer, so that attacks and ε stay in pixel units."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

_MEAN, _STD = "pixel_mean", "pixel_std"

Module = TypeVar("Module", bound=nn.Module)


class Normalize(nn.Module):
    """``(x - mean) / std`` per channel.

    Mean and standard deviation are not part of the ``state_dict``, so a classifier keeps its keys with it.

    Args:
        mean: one value per channel, of pixels in [0, 1].
        std: likewise, above 0.

    Shape:
        ``[..., C, H, W]`` -> the same.

    Raises:
        ValueError: ``mean`` and ``std`` differ in length, or a standard deviation is not positive.
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
        ValueError: the classifier normalises already, ``mean`` and ``std`` differ in length, or a standard deviation
            is not positive.
    """
    if hasattr(classifier, _MEAN) or any(isinstance(module, Normalize) for module in classifier.modules()):
        raise ValueError(f"{type(classifier).__name__} normalises its input already")
    mean_values, std_values = _per_channel(mean, std)
    weight = next((p for p in classifier.parameters() if p.is_floating_point()), mean_values)
    classifier.register_buffer(_MEAN, mean_values.to(weight), persistent=False)
    classifier.register_buffer(_STD, std_values.to(weight), persistent=False)
    classifier.register_forward_pre_hook(_normalize_input, prepend=True)
    return classifier


def normalization_of(classifier: nn.Module) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation, per channel, of a classifier made by :func:`normalized` or with a `Normalize` layer.

    None where there is neither.
    """
    layer = next((module for module in classifier.modules() if isinstance(module, Normalize)), None)
    if layer is not None:
        return layer.mean.flatten().tolist(), layer.std.flatten().tolist()
    if not hasattr(classifier, _MEAN):
        return None
    return classifier.get_buffer(_MEAN).flatten().tolist(), classifier.get_buffer(_STD).flatten().tolist()


def per_channel(values: Sequence[float], channels: int) -> list[float]:
    """One value per channel: the values, or their mean for each channel where there are not as many."""
    return list(values) if len(values) == channels else [sum(values) / len(values)] * channels


def _normalize_input(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    images, *rest = args
    return (_normalize(images, module.get_buffer(_MEAN), module.get_buffer(_STD)), *rest)


def _normalize(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    if x.shape[-3] != len(mean):  # broadcasting would turn a grey image into a coloured one
        raise ValueError(f"normalisation is for {len(mean)} channels, the images have {x.shape[-3]}")
    return (x - mean) / std


def _per_channel(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    if len(mean) != len(std):
        raise ValueError(f"normalisation needs one mean and one std per channel, got {len(mean)} and {len(std)}")
    if not all(value > 0 for value in std):
        raise ValueError(f"normalisation needs standard deviations above 0, got {list(std)}")
    return (
        torch.tensor(list(mean), dtype=torch.get_default_dtype()).view(-1, 1, 1),
        torch.tensor(list(std), dtype=torch.get_default_dtype()).view(-1, 1, 1),
    )
