"""Convolution with a double backward of torch's usual kernels.

torch computes the gradient by the weight of the input's gradient as a convolution whose kernel is a whole feature map,
which takes three to eight times as long as the gradient by the weight of the convolution itself, in channels-last even
more. The input's gradient is a transposed convolution of the output's, and that has a backward of the usual kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv_transpose2d
from torch.nn.modules.utils import _pair


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """:func:`torch.conv2d`, with the same values and derivatives."""
    if isinstance(padding, str) or not x.requires_grad:
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
    value = torch.conv2d(x.detach(), weight, bias, stride, padding, dilation, groups)
    return _WithInputGradient.apply(value, x, weight, _pair(stride), _pair(padding), _pair(dilation), groups)


class _WithInputGradient(torch.autograd.Function):
    """A convolution's output, of which torch knows the gradients by weight and bias, with the input's."""

    @staticmethod
    def forward(
        ctx: Any,
        value: Tensor,
        x: Tensor,
        weight: Tensor,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Tensor:
        ctx.mark_dirty(value)
        ctx.save_for_backward(weight)
        covered = [
            (length - 1) * step - 2 * pad + dilated * (kernel - 1) + 1
            for length, step, pad, dilated, kernel in zip(
                value.shape[-2:], stride, padding, dilation, weight.shape[-2:], strict=True
            )
        ]
        left_out = [size - length for size, length in zip(x.shape[-2:], covered, strict=True)]
        ctx.settings = stride, padding, left_out, groups, dilation
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return gradient, conv_transpose2d(gradient, weight, None, *ctx.settings), None, None, None, None, None
