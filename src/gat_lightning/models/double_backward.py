"""A pass whose double backward is fast: one that a backward through input gradients follows, as in exact curvature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from gat_lightning.models import batch_norm as normalization
from gat_lightning.models import convolution


def fast_double_backward() -> TorchFunctionMode:
    """A block in which 2d convolutions, and BatchNorm in train mode, have a fast double backward.

    Values and derivatives are those of torch but for rounding. The double backward is that of input gradients:
    derivatives of BatchNorm's gradients of weight and bias are not available.
    """
    return _FastDoubleBackward()


class _FastDoubleBackward(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace two functions."""
        kwargs = kwargs or {}
        if func is batch_norm and kwargs["training"] and kwargs["weight"] is not None:
            return normalization.in_train_mode(*args, *(kwargs[name] for name in ("weight", "bias", "momentum", "eps")))
        if func is torch.conv2d:
            return convolution.conv2d(*args, **kwargs)
        return func(*args, **kwargs)
