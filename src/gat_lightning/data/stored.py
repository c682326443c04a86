"""Batches between the process that loads them and the device: grey levels as they are stored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gat_lightning.batch import Batch
from gat_lightning.distributed import to_device
from gat_lightning.randomness import Shard


@dataclass(frozen=True)
class StoredBatch:
    """A :class:`~gat_lightning.batch.Batch` before its grey levels are scaled, a quarter of its size.

    Attributes:
        pixels: uint8 ``[B, C, H, W]`` in any memory layout.
        labels: as those of a batch.
        index: as that of a batch.
        shard: as that of a batch.
        visits: as those of a batch.
    """

    pixels: Tensor
    labels: dict[str, Tensor]
    index: Tensor
    shard: Shard
    visits: Tensor | None = None

    def pin_memory(self) -> StoredBatch:
        """A copy in pinned memory, from which a GPU reads by itself; called by a DataLoader that pins."""
        labels = {name: _pinned(label) for name, label in self.labels.items()}
        return StoredBatch(_pinned(self.pixels), labels, _pinned(self.index), self.shard, self.visits)

    def batch(self, device: torch.device | None = None) -> Batch:
        """The batch on a device, or where this one is: images float32 in [0, 1], contiguous.

        The grey levels are scaled there, and nothing waits for a GPU. The images are equal on all devices.
        """
        device = device or self.pixels.device
        labels = {name: to_device(label, device) for name, label in self.labels.items()}
        images = scaled(to_device(self.pixels, device))
        return Batch(images, labels, to_device(self.index, device), self.shard, visits=self.visits)


def scaled(pixels: Tensor) -> Tensor:
    """Grey levels uint8 0 to 255 of any shape as float32 in [0, 1], contiguous: the quotient by 255, rounded once."""
    # By a tensor: CUDA multiplies with the reciprocal of a number, which rounds twice.
    levels = torch.full((), 255.0, device=pixels.device)
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(levels)


def _pinned(tensor: Tensor) -> Tensor:
    return tensor.pin_memory() if tensor.device.type == "cpu" else tensor
