"""First-order increase of a loss: dual norms, also within the box [0, 1]."""

import torch
from torch import Tensor

from gat_lightning.attacks.norms import Linf, Norm

_DUAL = {"Linf": 1.0, "L2": 2.0, "L1": float("inf")}


def dual_norm(gradient: Tensor, norm: Norm) -> Tensor:
    """‖g‖_q of each sample with 1/p + 1/q = 1 for the attack's p-norm, ``[B, ...]`` -> ``[B]``.

    Paper, lemma A.2: an attack of size ε can increase the loss by ε ‖∂x L‖_q to first order.
    """
    return torch.linalg.vector_norm(gradient.flatten(1), _DUAL[norm.name], dim=1)


def largest_increase(gradient: Tensor, images: Tensor, eps: float, norm: Norm) -> Tensor:
    """Maximum of g · δ over ‖δ‖_p <= eps and x + δ in [0, 1], for each sample.

    Lemma A.2 ignores the pixel range: at the many pixels that are 0 or 1, half of all changes are impossible, so the
    lemma overestimates the effect of an attack on images.

    Args:
        gradient: ``[B, C, H, W]``.
        images: x, ``[B, C, H, W]`` in [0, 1].
        eps: radius.
        norm: norm of the ball.

    Returns:
        ``[B]``, float64; at most ``eps * dual_norm(gradient, norm)``.
    """
    slope = gradient.flatten(1).double().abs()
    pixels = images.flatten(1).double()
    room = torch.where(gradient.flatten(1) > 0, 1 - pixels, pixels)
    if isinstance(norm, Linf):
        change = room.clamp(max=eps)
    elif norm.name == "L2":
        change = _euclidean(slope, room, eps)
    else:
        change = _greedy(slope, room, eps)
    return (slope * change).sum(1)


def _greedy(slope: Tensor, room: Tensor, eps: float) -> Tensor:
    """Change the steepest pixels first, each up to its bound, until the sum of all changes is ``eps``."""
    order = slope.argsort(1, descending=True)
    available = room.gather(1, order)
    before = available.cumsum(1) - available
    change = torch.minimum(available, (eps - before).clamp(min=0))
    return torch.zeros_like(room).scatter(1, order, change)


def _euclidean(slope: Tensor, room: Tensor, eps: float) -> Tensor:
    """min(λ |g|, room), with λ such that its length is ``eps``, or the whole room where that is shorter.

    Pixels reach their end in the order of room / |g|; with the first k at their end, λ² is what is left of eps²
    divided by the squares of the other slopes. The right k is the first at which no other pixel is past its end.
    """
    room = torch.where(slope > 0, room, 0.0)
    scaled = slope / torch.where(slope > 0, slope, 1.0).amax(1, keepdim=True)
    end = torch.where(scaled > 0, room / torch.where(scaled > 0, scaled, 1.0), torch.inf)
    order = end.argsort(1)
    squares = room.gather(1, order).square()
    left = eps**2 - (squares.cumsum(1) - squares)
    free = scaled.gather(1, order).square().flip(1).cumsum(1).flip(1)
    rate = (left.clamp(min=0) / free.clamp(min=1e-300)).sqrt()
    right = (rate <= end.gather(1, order)) & (left > 0) & (free > 0)
    first = right.to(torch.uint8).argmax(1, keepdim=True)
    chosen = torch.where(right.any(1, keepdim=True), rate.gather(1, first), torch.inf)
    return torch.where(scaled > 0, torch.minimum(chosen * scaled.clamp(min=1e-300), room), 0.0)
