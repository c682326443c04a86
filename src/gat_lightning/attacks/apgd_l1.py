"""The search of Auto-PGD in L1."""

import math
from typing import Any

import torch
from torch import Tensor

RADII = (3.0, 2.0, 1.0)
"""Radii of the three parts of the search, in units of eps."""
PART = 0.3
"""Share of the steps in each part but the last."""
_CHECKED = 0.04
_SPARSER = 0.95
_FEWER = 1.5
_SHORTER = 1.5
_SHORTEST = 0.1


def project_in_box(images: Tensor, delta: Tensor, eps: float) -> Tensor:
    """The perturbation nearest to ``delta`` (Euclidean distance) with L1 norm at most ``eps`` and images in [0, 1].

    Croce and Hein (ICML 2021), proposition 2.1: each pixel is moved back by one threshold, and not beyond the
    box. The sum of the changes is piecewise linear in the threshold, which is found exactly, in float64.

    Args:
        images: ``[B, ...]`` in [0, 1].
        delta: likewise.
        eps: radius, at least 0.
    """
    pixels, flat = images.flatten(1).double(), delta.flatten(1).double()
    size = flat.abs()
    room = torch.where(flat > 0, 1 - pixels, pixels).clamp(min=0)
    kept = torch.minimum(size, room)
    begins = (size - room).clamp(min=0)  # at these thresholds a pixel begins to move back, and at its size it is back
    thresholds, order = torch.cat([begins, size], 1).sort(1)
    moving = torch.where(order < size.shape[1], 1, -1).cumsum(1)
    falls = moving[:, :-1] * thresholds.diff(dim=1)
    left = torch.cat([kept.sum(1, keepdim=True), kept.sum(1, keepdim=True) - falls.cumsum(1)], 1)
    last = ((left > eps).sum(1, keepdim=True) - 1).clamp(min=0)
    surplus = (left.gather(1, last) - eps).clamp(min=0)
    threshold = thresholds.gather(1, last) + surplus / moving.gather(1, last).clamp(min=1)
    moved = torch.minimum((size - threshold).clamp(min=0), room)
    inside = kept.sum(1, keepdim=True) <= eps
    return (flat.sign() * torch.where(inside, kept, moved)).to(delta.dtype).view_as(delta)


def sparse_sign(gradient: Tensor, share: Tensor) -> Tensor:
    """Signs of the largest share of each gradient by size, ties included, 0 elsewhere; of L1 norm 1.

    Args:
        gradient: ``[B, C, H, W]``.
        share: of the pixels, ``[B]``.
    """
    flat = gradient.flatten(1)
    size, pixels = flat.abs(), flat.shape[1]
    place = ((1 - share) * pixels).clamp(0, pixels - 1).long()
    least = size.sort(1).values.gather(1, place[:, None])
    signs = torch.where(size >= least, flat.sign(), 0.0)
    return (signs / (signs.abs().sum(1, keepdim=True) + 1e-10)).view_as(gradient)


def search_in_l1(attack: Any, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Auto-PGD in the intersection of the L1 ball and the box, from a random point.

    Croce and Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers" (ICML 2021), algorithm
    1 and section 3.3: 30 % of the steps are in a ball of radius 3 eps, 30 % in one of 2 eps, and the others in that of
    eps, each part from the point of highest loss of the one before, projected. A step changes the pixels of largest
    gradient, two thirds of as many as the best point of the last check has changed.

    Args:
        attack: ``torchattacks.APGD`` with its loss.
        images: ``[B, C, H, W]`` in [0, 1].
        labels: ``[B]``.

    Returns:
        The points of highest loss, whether each image is still classified correctly, bool ``[B]``, the highest loss,
        ``[B]``, and the points that are misclassified.
    """
    longer = min(math.ceil(PART * attack.steps), (attack.steps - 1) // 2)
    start = images + torch.randn(images.shape).to(images)
    parts = zip(RADII, (longer, longer, attack.steps - 2 * longer), strict=True)
    for radius, steps in parts:
        eps = radius * attack.eps
        if steps:
            start = (images + project_in_box(images, start - images, eps)).clamp(0, 1)
            part = _Part(attack, images, labels, start, eps)
            part.run(steps)
            start = part.best
    return part.best, part.standing, part.highest, part.fooling


class _Part:
    """The search in one ball."""

    def __init__(self, attack: Any, images: Tensor, labels: Tensor, start: Tensor, eps: float) -> None:
        self._attack, self._images, self._labels, self._eps = attack, images, labels, eps
        self._point = self.best = self.fooling = start
        self.highest, self._slope, self.standing = self._look()
        self._best_slope = self._slope

    def run(self, steps: int) -> None:
        """Make so many steps."""
        images, eps, pixels = self._images, self._eps, self._images[0].numel()
        changed = _changed(self._point - images)
        share = changed / pixels / _FEWER
        length = torch.full_like(changed, eps)
        every = max(int(_CHECKED * steps), 1)
        for step in range(1, steps + 1):
            moved = self._point + length[:, None, None, None] * sparse_sign(self._slope, share)
            self._point = images + project_in_box(images, moved - images, eps)
            self._keep(*self._look())
            if step % every == 0:
                now = _changed(self.best - images)
                sparser = now / changed < _SPARSER
                share, changed = now / pixels / _FEWER, now
                length = torch.where(sparser, eps, (length / _SHORTER).clamp(_SHORTEST * eps, eps))
                self._point = _where(sparser, self.best, self._point)
                self._slope = _where(sparser, self._best_slope, self._slope)

    def _look(self) -> tuple[Tensor, Tensor, Tensor]:
        """Loss of the last draw, mean gradient of all draws, and which images are classified correctly."""
        total = torch.zeros_like(self._point)
        for _ in range(self._attack.eot_iter):
            point = self._point.detach().requires_grad_()
            with torch.enable_grad():
                logits = self._attack.get_logits(point)
                loss = self._attack.dlr_loss(logits, self._labels)
                total += torch.autograd.grad(loss.sum(), point)[0]
        return loss.detach(), total / self._attack.eot_iter, logits.detach().argmax(1) == self._labels

    def _keep(self, loss: Tensor, slope: Tensor, correct: Tensor) -> None:
        """Keep the point where it is the best so far, or misclassified."""
        self._slope = slope
        self.standing = self.standing & correct
        self.fooling = _where(~correct, self._point, self.fooling)
        better = loss > self.highest
        self.best, self._best_slope = _where(better, self._point, self.best), _where(better, slope, self._best_slope)
        self.highest = torch.where(better, loss, self.highest)


def _changed(delta: Tensor) -> Tensor:
    """Number of pixels that each perturbation changes, ``[B]``."""
    return (delta != 0).flatten(1).sum(1).to(delta.dtype)


def _where(rows: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(rows[:, None, None, None], first, second)
