"""Random numbers that belong to an image, whatever batch it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gat_lightning.randomness import BatchGenerator, Shard, generator_for

BLOCK = 32
"""How many neighbours in a split are drawn for together."""


class ImageGenerator(BatchGenerator):
    """Draws for some images of a split; an image gets the same numbers in any batch and beside any others.

    Each block of :data:`BLOCK` neighbours has a generator of its own, so that the cost depends on the images drawn for
    and not on the size of the split.

    Args:
        positions: of the images in their split, ``[B]``.
        key: of what is drawn, such as ``(seed, "test", "pgd20")``.
    """

    def __init__(self, positions: Tensor, *key: int | str) -> None:
        self.shard = Shard.whole(len(positions))
        blocks, block_of_image = (positions.cpu() // BLOCK).unique(return_inverse=True)
        self._generators = [generator_for(*key, block) for block in blocks.tolist()]
        self._rows = block_of_image * BLOCK + positions.cpu() % BLOCK

    def integers(self, high: int, device: torch.device | str = "cpu") -> Tensor:
        """Uniform integers in [0, high). Shape ``[B]``, long."""
        return self._drawn(lambda generator: torch.randint(high, (BLOCK,), generator=generator), device)

    def uniform(self, shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
        """Uniform floats in [0, 1). Shape ``[B, *shape]``, float32."""
        return self._drawn(lambda generator: torch.rand(BLOCK, *shape, generator=generator), device)

    def normal(self, shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
        """Standard normal floats. Shape ``[B, *shape]``, float32."""
        return self._drawn(lambda generator: torch.randn(BLOCK, *shape, generator=generator), device)

    def _drawn(self, draw: Callable[[torch.Generator], Tensor], device: torch.device | str) -> Tensor:
        return torch.cat([draw(generator) for generator in self._generators])[self._rows].to(device)
