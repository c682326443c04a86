"""Arguments of operations, and of ``Tensor.to``."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor


def tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among the arguments or results of an operation, and in lists among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from tensors(value)


def target(args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """The device and the other settings of a call of ``Tensor.to``; None if the device stays."""
    settings = dict(kwargs)
    device, names = settings.pop("device", None), ["dtype", "non_blocking", "copy"]
    other = settings.pop("other", None)
    if args and isinstance(args[0], Tensor):
        other, args = args[0], args[1:]
    elif args and not isinstance(args[0], torch.dtype):
        device, args = args[0], args[1:]
    if other is not None:
        device, settings["dtype"] = other.device, other.dtype
        names = names[1:]
    settings |= dict(zip(names, args, strict=False))
    if settings.get("dtype") is None:
        settings.pop("dtype", None)
    return device, settings


def is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)
