"""The search of the Square attack in L-infinity, several queries of an image in one pass."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_IMAGES = 1024
"""Most images that look-ahead fills a pass with."""
_VALUES = {"cpu": 2**16, "other": 2**20}
"""Most pixel values of these images, by device; more do not fit in the cache of a CPU, and take longer an image."""
_WASTE = 0.25
"""Accepted queries of an image to expect in a pass, at most."""
_MEMORY = 0.9
"""Weight of a pass's counts after the next one."""


@dataclass
class _Proposals:
    """The squares of all queries: side, place ``[Q]`` and change ``[Q, C, 1, 1]``."""

    side: Tensor
    top: Tensor
    left: Tensor
    change: Tensor

    def moved(self, images: Tensor, best: Tensor, query: Tensor, eps: float) -> Tensor:
        """What the queries ``[B, N]`` of each image make of its best perturbation, ``[B * N, C, H, W]``."""
        height, width = images.shape[2:]
        side, top, left = (each[query][..., None] for each in (self.side, self.top, self.left))
        row, column = (torch.arange(size, device=images.device) for size in (height, width))
        rows = (row >= top) & (row < top + side)
        columns = (column >= left) & (column < left + side)
        inside = rows[:, :, None, :, None] & columns[:, :, None, None, :]
        found = best[:, None] + torch.where(inside, self.change[query], 0.0)
        low, high = (images - eps).clamp(min=0)[:, None], (images + eps).clamp(max=1)[:, None]
        return torch.clamp(found, low, high).flatten(0, 1)


@torch.no_grad()
def search_in_linf(square: Any, images: Tensor, labels: Tensor, looks_ahead: bool) -> Tensor:
    """Perturbed images of the search in L-infinity; one that is misclassified is done.

    Andriushchenko et al. (ECCV 2020), algorithms 1 and 2. A query changes the best perturbation so far, so the queries
    of an image depend on each other only through those that were accepted, of which there are few. Where fewer images
    are left than a pass can take, it is filled with the next queries of each, as if all were rejected; those after an
    accepted one are discarded and made again. The images are those of one query at a time.

    Args:
        square: a ``torchattacks.Square``.
        images: ``[B, C, H, W]``.
        labels: ``[B]``.
        looks_ahead: whether ``square.margin_and_loss`` takes any images with their labels; else all are queried in
            every pass.
    """
    count, channels, _, width = images.shape
    best = (images + square.eps * square.random_choice([count, channels, 1, width])).clamp(0, 1)
    margin, loss = square.margin_and_loss(best, labels)
    proposals = _draw(square, images)
    query = torch.zeros(count, dtype=torch.long, device=images.device)
    values = _VALUES["cpu" if images.device.type == "cpu" else "other"]
    pace = _Pace(min(_IMAGES, values // images[0].numel()) if looks_ahead else 1)
    while len(rows := ((margin > 0) & (query < square.n_queries)).nonzero().flatten()):
        ahead = pace.ahead(len(rows))
        queries = query[rows, None] + torch.arange(ahead, device=images.device)
        left = queries < square.n_queries
        found = proposals.moved(images[rows], best[rows], queries.clamp(max=square.n_queries - 1), square.eps)
        several = labels[rows].repeat_interleave(ahead)
        new_margin, new_loss = (each.view(-1, ahead) for each in square.margin_and_loss(found, several))
        lower = new_loss < loss[rows, None]
        accepted = (lower | (new_margin <= 0)) & left
        first, some = accepted.int().argmax(1), accepted.any(1)
        made = torch.where(some, first + 1, left.sum(1))
        query[rows] += made
        pace.note(int(some.sum()), int(made.sum()))
        taken = (some.nonzero().flatten(), first[some])
        changed = rows[taken[0]]
        best[changed] = found.view(len(rows), ahead, *images.shape[1:])[taken]
        margin[changed] = new_margin[taken]
        loss[changed] = torch.minimum(new_loss[taken], loss[changed])
    return best


def _draw(square: Any, images: Tensor) -> _Proposals:
    """The squares of all queries, drawn in their order."""
    channels, height, width = images.shape[1:]
    sides, tops, lefts, changes = [], [], [], []
    for query in range(square.n_queries):
        sides.append(max(round(math.sqrt(square.p_selection(query) * height * width)), 1))
        tops.append((height - sides[-1]) * torch.rand(1))
        lefts.append((width - sides[-1]) * torch.rand(1))
        changes.append(torch.rand(channels, 1, 1))
    change = 2 * square.eps * torch.sign(2 * torch.stack(changes) - 1)
    side, top, left = torch.tensor(sides), torch.cat(tops).long(), torch.cat(lefts).long()
    device = images.device
    return _Proposals(side.to(device), top.to(device), left.to(device), change.to(images))


class _Pace:
    """How many queries of an image to make in a pass, so that few are discarded.

    Args:
        most: images that a pass is filled up to.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._accepted = self._made = 1.0

    def ahead(self, images: int) -> int:
        """For so many images; about an eighth of the queries is discarded at most."""
        few = 1 + int(_WASTE * self._made / self._accepted)
        return max(1, min(self._most // images, few))

    def note(self, accepted: int, made: int) -> None:
        """Learn how many of the queries of a pass were accepted; earlier ones count less and less."""
        self._accepted = max(_MEMORY * self._accepted + accepted, 1e-3)
        self._made = _MEMORY * self._made + made
