"""Random numbers that depend on where they are used, never on earlier draws.

A generator is created for each (seed, epoch, step, purpose) and always draws for the *joined* batch of all ranks; each
rank, worker and micro-batch takes its own part. The numbers do not depend on how many of these there are, nor on a
resume in the middle of an epoch. An evaluation draws for each image by its position in the split, independent of the
batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gat_lightning.distributed import to_device

BLOCK = 32
"""How many neighbours in a split are drawn for together."""


def generator_for(*key: int | str) -> torch.Generator:
    """A CPU generator whose seed is a hash of ``key``, such as ``(seed, epoch, step, "attack")``."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Shard(NamedTuple):
    """The part ``[offset, offset + size)`` of a joined batch of ``total`` samples that this process holds."""

    offset: int
    size: int
    total: int

    @classmethod
    def whole(cls, size: int) -> Shard:
        """The shard of a process that holds the joined batch alone."""
        return cls(0, size, size)

    def piece(self, rows: slice) -> Shard:
        """The shard of some of its samples: ``rows`` from its first on."""
        return self._replace(offset=self.offset + rows.start, size=rows.stop - rows.start)


@dataclass(frozen=True)
class Draw:
    """A draw for every sample of a joined batch. Equal ones draw equal numbers from equal generators.

    Attributes:
        kind: what is drawn.
        shape: of a sample's floats.
        high: integers are below it.
        dtype: of floats; torch's default when the draw is asked for.
    """

    kind: Literal["permutation", "integers", "uniform", "normal"]
    shape: tuple[int, ...] = ()
    high: int = 0
    dtype: torch.dtype = field(default_factory=torch.get_default_dtype)

    def __call__(self, samples: int, generator: torch.Generator) -> Tensor:
        """The numbers of so many samples, on the CPU."""
        if self.kind == "permutation":
            return torch.randperm(samples, generator=generator)
        if self.kind == "integers":
            return torch.randint(self.high, (samples,), generator=generator)
        floats = torch.rand if self.kind == "uniform" else torch.randn
        return floats(samples, *self.shape, generator=generator, dtype=self.dtype)


class BatchGenerator:
    """Draws one value (or array) per sample of this process's shard; two objects with equal keys draw equal numbers.

    Every draw is made on the CPU for the joined batch and sliced, so it does not depend on device or ranks.
    Successive draws from one object differ, as from any generator.
    """

    def __init__(self, shard: Shard, *key: int | str) -> None:
        self.shard = shard
        self._generator = generator_for(*key)

    def rows(self, draw: Callable[[int, torch.Generator], Tensor], device: torch.device | str = "cpu") -> Tensor:
        """These samples' rows of what a function (samples, generator) draws for the joined batch."""
        drawn = draw(self.shard.total, self._generator)
        return to_device(drawn[self.shard.offset : self.shard.offset + self.shard.size], device)

    def permutation(self, device: torch.device | str = "cpu") -> Tensor:
        """Where a random order of the joined batch puts these samples: positions in it, ``[B]``, long."""
        return self.rows(Draw("permutation"), device)

    def integers(self, high: int, device: torch.device | str = "cpu") -> Tensor:
        """Uniform integers in [0, high). Shape ``[B]``, long."""
        return self.rows(Draw("integers", high=high), device)

    def uniform(self, shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
        """Uniform floats in [0, 1). Shape ``[B, *shape]``, float32."""
        return self.rows(Draw("uniform", tuple(shape)), device)

    def normal(self, shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
        """Standard normal floats. Shape ``[B, *shape]``, float32."""
        return self.rows(Draw("normal", tuple(shape)), device)


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
        blocks, block_of_image, counts = (positions.cpu() // BLOCK).unique(return_inverse=True, return_counts=True)
        self._generators = [generator_for(*key, block) for block in blocks.tolist()]
        by_block = block_of_image.argsort(stable=True)
        self._rows = (positions.cpu() % BLOCK)[by_block].split(counts.tolist())
        self._order = by_block.argsort()

    def rows(self, draw: Callable[[int, torch.Generator], Tensor], device: torch.device | str = "cpu") -> Tensor:
        """These images' rows of what a function (images, generator) draws for each block."""
        drawn = [draw(BLOCK, generator)[rows] for generator, rows in zip(self._generators, self._rows, strict=True)]
        return to_device(torch.cat(drawn)[self._order], device)
