"""torchattacks' search of the Square attack, for pictures of any shape."""

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gat_lightning.attacks.square_linf import search_in_linf

LEAST_SIDE = 5
"""Least height and width in L2, whose first perturbation is made of five tiles a side."""


@cache
def square_search() -> Any:
    """``torchattacks.Square`` whose squares and tiles stay within pictures that are not square.

    Andriushchenko et al. (ECCV 2020), algorithms 2 (L-infinity) and 3 (L2). Version 3.5.1 of torchattacks draws squares
    larger than the shorter side, and in L2 tiles that overlap the border, for some square pictures too (12 or 14
    pixels); where it works, the images are the same. In L-infinity several queries of an image are made in one pass,
    see :func:`~gat_lightning.attacks.square_linf.search_in_linf`.
    """
    import torchattacks

    class SquareSearch(_SearchInL2, torchattacks.Square):
        looks_ahead = True

        def p_selection(self, it: int) -> float:
            """The share of pixels in a square, at most that of the largest square in the picture."""
            height, width = self.orig_dim[1:]
            return min(super().p_selection(it), min(height, width) ** 2 / (height * width))

        def attack_single_run(self, x: Tensor, y: Tensor) -> tuple[Any, Tensor]:
            if self.norm == "Linf":
                return None, search_in_linf(self, x, y, self.looks_ahead)
            return None, self._search_in_l2(x, y)

        def margin_and_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            """The margin of the logits, which is the loss too."""
            logits, own = self.get_logits(images), labels[:, None]
            margin = (logits.gather(1, own) - logits.scatter(1, own, -torch.inf).amax(1, keepdim=True)).squeeze(1)
            return margin, margin.clone()

    return SquareSearch


class _SearchInL2:
    """The search in L2, with the parts of ``torchattacks.Square`` that it is made of."""

    eps: float
    n_queries: int
    eta: Any
    lp_norm: Any
    margin_and_loss: Any
    normalize_delta: Any
    p_selection: Any
    random_choice: Any
    random_int: Any

    @torch.no_grad()
    def _search_in_l2(self, images: Tensor, labels: Tensor) -> Tensor:
        best = (images + self.normalize_delta(self._tiles(images)) * self.eps).clamp(0, 1)
        margin, loss = self.margin_and_loss(best, labels)
        for query in range(self.n_queries):
            rows = (margin > 0).nonzero().flatten()
            if len(rows) == 0:
                break
            found = self._moved(images[rows], best[rows], query)
            new_margin, new_loss = self.margin_and_loss(found, labels[rows])
            lower = new_loss < loss[rows]
            better = lower | (new_margin <= 0)
            loss[rows] = torch.where(lower, new_loss, loss[rows])
            margin[rows] = torch.where(better, new_margin, margin[rows])
            best[rows] = torch.where(better[:, None, None, None], found, best[rows])
        return best

    def _tiles(self, images: Tensor) -> Tensor:
        """The first perturbation: tiles of a fifth of the shorter side, cut off at the border."""
        count, channels, height, width = images.shape
        size = min(height, width) // 5
        first = (min(height, width) - 5 * size) // 2
        delta = torch.zeros_like(images)
        for top in range(first, first + height // size * size, size):
            for left in range(first, first + width // size * size, size):
                place = delta[:, :, top : top + size, left : left + size]
                tile = self.eta(size) * self.random_choice([count, channels, 1, 1])
                place += tile[:, :, : place.shape[2], : place.shape[3]]
        return delta

    def _moved(self, images: Tensor, best: Tensor, query: int) -> Tensor:
        """What results where one window takes over the budget of another, and what is left of it."""
        count, channels, height, width = images.shape
        side = min(height, width)
        size = max(round(math.sqrt(self.p_selection(query) * height * width)), 3)
        size = min(size + (size % 2 == 0), side - (side % 2 == 0))  # odd
        gaining, losing = (self._window(height, width, size) for _ in range(2))
        delta = best - images
        either = torch.zeros_like(delta)
        either[gaining] = either[losing] = 1.0
        left = ((self.eps * torch.ones_like(delta[gaining])) ** 2 - self.lp_norm(delta) ** 2).clamp(min=0)
        budget = (left / channels + self.lp_norm(delta * either) ** 2).sqrt()
        pattern = (self.eta(size) * self.random_choice([count, channels, 1, 1])).contiguous()
        new = pattern + delta[gaining] / (1e-12 + _length(delta[gaining]))
        delta[losing] = 0.0
        delta[gaining] = new / (1e-12 + _length(new)) * budget
        return (images + self.normalize_delta(delta) * self.eps).clamp(0, 1)

    def _window(self, height: int, width: int, size: int) -> tuple[Any, ...]:
        top, left = int(self.random_int(0, height - size)), int(self.random_int(0, width - size))
        return ..., slice(top, top + size), slice(left, left + size)


def _length(windows: Tensor) -> Tensor:
    """Euclidean length of each channel, ``[B, C, 1, 1]``."""
    return (windows**2).sum(dim=(-2, -1), keepdim=True).sqrt()
