"""Measures on pairs of task gradients (paper, definitions 3.2 to 3.4).

All measures are per sample: gradients ``[B, ...]`` are flattened to ``[B, n]`` and a measure returns ``[B]``.
"""

import torch
from torch import Tensor


def _unit(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Direction ``[B, n]`` (0 where the gradient is 0) and whether there is one, bool ``[B, 1]``.

    Scaling by the largest element first keeps squares of tiny and huge gradients inside the floating-point range.
    """
    scale = gradient.detach().abs().amax(1, keepdim=True)
    nonzero = scale > 0
    scaled = torch.where(nonzero, gradient, 1.0) / torch.where(nonzero, scale, 1.0)
    return torch.where(nonzero, scaled / scaled.norm(dim=1, keepdim=True), 0.0), nonzero


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of the angle between the gradients of each sample, in [-1, 1]; 0 where either is 0.

    Definition 3.2: gradients conflict where it is negative.
    """
    return (_unit(first.flatten(1))[0] * _unit(second.flatten(1))[0]).sum(1)


def magnitude_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Definition 3.3: 2 ‖g_i‖ ‖g_j‖ / (‖g_i‖² + ‖g_j‖²), in [0, 1]; 0 where both gradients are 0."""
    first, second = first.flatten(1), second.flatten(1)
    scale = torch.maximum(first.detach().abs().amax(1), second.detach().abs().amax(1))
    safe = torch.where(scale > 0, scale, 1.0).unsqueeze(1)
    a, b = (first / safe).norm(dim=1), (second / safe).norm(dim=1)
    return 2 * a * b / torch.where(scale > 0, a**2 + b**2, 1.0)


def curvature_measure(first: Tensor, second: Tensor) -> Tensor:
    r"""Definition 3.4, the multi-task curvature bounding measure of each sample's two gradients.

    .. math:: \xi(g_i, g_j) = (1 - \cos^2 \phi_{ij}) \, \|g_i - g_j\|^2 / \|g_i + g_j\|^2

    With a the longer of the two gradients, b the shorter and s = a + b, this is
    :math:`\|a - b\|^2 / \|a\|^2 \cdot \|v - \hat s (\hat s \cdot v)\|^2` where :math:`v = b / \|b\|` and
    :math:`\hat s = s / \|s\|`, in which nothing cancels: equal, nearly opposite (ξ tends to 4 at equal norms), tiny and
    huge gradients all give the right value and derivative. Exactly 0, with zero derivative, where either gradient or
    their sum is 0.

    Args:
        first: ``[B, ...]``.
        second: ``[B, ...]``.

    Returns:
        ``[B]``, in [0, 4]. Differentiable.
    """
    first, second = first.flatten(1), second.flatten(1)
    scale = torch.maximum(first.detach().abs().amax(1), second.detach().abs().amax(1)).unsqueeze(1)
    safe = torch.where(scale > 0, scale, 1.0)
    a, b = first / safe, second / safe
    first_is_longer = a.detach().norm(dim=1, keepdim=True) >= b.detach().norm(dim=1, keepdim=True)
    longer = torch.where(first_is_longer, a, b)
    direction, has_shorter = _unit(torch.where(first_is_longer, second, first))
    total, has_sum = _unit(a + b)
    defined = has_shorter & has_sum
    across = direction - total * (total * direction).sum(1, keepdim=True)
    length = torch.where(defined, longer, 1.0).square().sum(1)
    measure = (a - b).square().sum(1) / length * across.square().sum(1)
    return torch.where(defined.squeeze(1), measure, 0.0)
