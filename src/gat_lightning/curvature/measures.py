"""Measures on pairs of task gradients (paper, definitions 3.2 to 3.4).

All measures are per sample: gradients ``[B, ...]`` are flattened to ``[B, n]`` and a measure returns ``[B]``.
"""

import torch
from torch import Tensor

_HEADROOM = 2.0**-10
"""Of the largest finite number: sums of a thousand derivatives that are bounded to it are finite."""


def _scaled(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient ``[B, n]`` divided by a power of two ``[B, 1]``, which brings its largest element into [1, 2).

    Nothing is rounded, and squares of tiny and huge gradients stay inside the floating-point range. The
    derivative is bounded where it would exceed that range, as it does for gradients of 1e-40 in float32.
    """
    exponent = torch.frexp(gradient.detach().abs().amax(1, keepdim=True)).exponent
    scale = torch.ldexp(torch.ones_like(exponent, dtype=gradient.dtype), exponent - 1)
    return _with_bounded_derivative(gradient) / scale, scale


def _with_bounded_derivative(values: Tensor) -> Tensor:
    """The same values; derivatives with respect to them are clamped to numbers whose sums are finite."""
    if not values.requires_grad:
        return values
    largest = torch.finfo(values.dtype).max * _HEADROOM

    def bounded(derivative: Tensor | None) -> Tensor | None:
        return None if derivative is None else derivative.clamp(-largest, largest)

    same = values.view_as(values)
    same.register_hook(bounded)
    return same


def _nonzero(gradient: Tensor) -> Tensor:
    """Which gradients ``[B, n]`` have a direction, bool ``[B, 1]``."""
    return (gradient != 0).any(1, keepdim=True)


def _unit(gradient: Tensor) -> Tensor:
    """Direction ``[B, n]``; 0 where the gradient is 0."""
    nonzero = _nonzero(gradient)
    scaled = torch.where(nonzero, _scaled(gradient)[0], 1.0)
    return torch.where(nonzero, scaled / scaled.norm(dim=1, keepdim=True), 0.0)


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of the angle between the gradients of each sample, in [-1, 1]; 0 where either is 0.

    Definition 3.2: gradients conflict where it is negative.
    """
    return (_unit(first.flatten(1)) * _unit(second.flatten(1))).sum(1)


def magnitude_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Definition 3.3: 2 ‖g_i‖ ‖g_j‖ / (‖g_i‖² + ‖g_j‖²), in [0, 1]; 0 where both gradients are 0."""
    a, b = (each.norm(dim=1) for each in _in_common_scale(*_scaled(first.flatten(1)), *_scaled(second.flatten(1))))
    squares = a**2 + b**2
    return 2 * a * b / torch.where(squares == 0, 1.0, squares)


def curvature_measure(first: Tensor, second: Tensor) -> Tensor:
    r"""Definition 3.4, the multi-task curvature bounding measure of each sample's two gradients.

    .. math:: \xi(g_i, g_j) = (1 - \cos^2 \phi_{ij}) \, \|g_i - g_j\|^2 / \|g_i + g_j\|^2

    With a the longer of the two gradients, b the shorter and s = a + b, this is
    :math:`\|a - b\|^2 / \|a\|^2 \cdot \|v - \hat s (\hat s \cdot v)\|^2` where :math:`v = b / \|b\|` and
    :math:`\hat s = s / \|s\|`. Gradients are scaled by powers of two, which rounds nothing, so that the sum of nearly
    opposite ones is exact: value and derivative are right for these (ξ tends to 4 at equal norms), for tiny and for
    huge ones. Where a and b are parallel, v and ŝ cancel: ξ tends to 0, with an absolute error of the square of the
    rounding error. Exactly 0, with zero derivative, where either gradient or their sum is 0; NaN where a gradient is
    not finite.

    Args:
        first: ``[B, ...]``.
        second: ``[B, ...]``.

    Returns:
        ``[B]``, in [0, 4]. Differentiable.
    """
    (a, a_scale), (b, b_scale) = _scaled(first.flatten(1)), _scaled(second.flatten(1))
    in_common_a, in_common_b = _in_common_scale(a, a_scale, b, b_scale)
    first_is_longer = in_common_a.detach().norm(dim=1, keepdim=True) >= in_common_b.detach().norm(dim=1, keepdim=True)
    direction = _unit(torch.where(first_is_longer, b, a))
    total = _unit(in_common_a + in_common_b)
    across = direction - total * (total * direction).sum(1, keepdim=True)
    defined = _nonzero(a) & _nonzero(b) & _nonzero(in_common_a + in_common_b)
    longer = torch.where(defined, torch.where(first_is_longer, in_common_a, in_common_b), 1.0)
    measure = (in_common_a - in_common_b).square().sum(1) / longer.square().sum(1) * across.square().sum(1)
    return torch.where(defined.squeeze(1), measure, 0.0)


def _in_common_scale(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Two scaled gradients ``[B, n]`` as multiples of the larger one's scale."""
    scale = torch.maximum(a_scale, b_scale)
    return a * (a_scale / scale), b * (b_scale / scale)
