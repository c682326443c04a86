r"""BatchNorm in train mode with a double backward of few operations.

That of torch is a composition of dozens of operations on whole feature maps, and takes two fifths of the time that
exact curvature costs on a CPU. With the means m(.) over the N values of a channel, x̂ = (x - m(x)) r, the deviation's
inverse r, the weight γ and the output's gradient g, the input's gradient is

.. math:: u = \gamma r \, (g - m(g) - \hat x \, m(g \hat x)).

For a gradient v of u, and a = m(v x̂), b = m(g x̂), q = m(v g) - m(v) m(g) - a b, the derivatives of Σ v u are

.. math:: \partial_g = \gamma r \, (v - m(v) - \hat x a), \qquad \partial_\gamma = N r q,

.. math:: \partial_x = -r b \, \partial_g - \gamma r^2 a \, (g - m(g)) + \gamma r^2 (a b - q) \, \hat x,

of which the first is the backward of v.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode


class FastDoubleBackward(TorchFunctionMode):
    """Inside, ``torch.nn.functional.batch_norm`` in train mode has a fast double backward.

    It is the double backward of input gradients: derivatives of the gradients of weight and bias are not available.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace one function."""
        kwargs = kwargs or {}
        if func is batch_norm and kwargs["training"] and kwargs["weight"] is not None:
            return _BatchNorm.apply(*args, *(kwargs[name] for name in ("weight", "bias", "momentum", "eps")))
        return func(*args, **kwargs)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor,
        bias: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        output, mean, inverse = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps = eps
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_x, of_weight, of_bias = _Backward.apply(gradient, *ctx.saved_tensors, ctx.eps)
        return of_x, None, None, of_weight, of_bias if ctx.needs_input_grad[4] else None, None, None


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        of_x, of_weight, of_bias = _backward(gradient, x, weight, mean, inverse, eps)
        ctx.save_for_backward(gradient, x, weight, mean, inverse, of_weight, of_bias)
        ctx.mark_non_differentiable(of_weight, of_bias)
        ctx.eps = eps
        return of_x, of_weight, of_bias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        g, x, weight, mean, inverse, sum_gx, sum_g = ctx.saved_tensors
        of_g, sum_vx, sum_v = _backward(v, x, weight, mean, inverse, ctx.eps)
        count = x.numel() // x.shape[1]
        a, b = sum_vx / count, sum_gx / count
        q = (v * g).mean([0, *range(2, x.dim())]) - sum_v * sum_g / count**2 - a * b
        scale = weight * inverse**2

        def per_channel(values: Tensor) -> Tensor:
            return values.view([1, -1] + [1] * (x.dim() - 2))

        of_x = (x - per_channel(mean)).mul_(per_channel(scale * inverse * (a * b - q)))
        of_x.addcmul_(of_g, per_channel(-inverse * b)).addcmul_(g, per_channel(-scale * a))
        of_x.add_(per_channel(scale * a * sum_g / count))
        return of_g, of_x, count * inverse * q, None, None, None


def _backward(
    gradient: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias; those of the latter are Σ g x̂ and Σ g."""
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
        gradient, x, weight, None, None, mean, inverse, True, eps, [True, True, True]
    )
    return gradients
