"""Base class of self-supervised tasks that permute pixels and predict the permutation."""

from abc import abstractmethod

import torch
from torch import Tensor

from gat_lightning.info import DataInfo
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks.classification import MulticlassTask


class PixelPermutationTask(MulticlassTask):
    """Draws one of K rearrangements of the pixels for each image, and asks which one it was.

    All of a batch are rearranged by one gather, so that f_t is differentiable (its Jacobian is a permutation) and
    costs one pass over the pixels.
    """

    labels_read = ()
    _sources: Tensor

    @abstractmethod
    def sources(self, height: int, width: int) -> Tensor:
        """For each rearrangement, the flat index of the pixel that lands in each place: long ``[K, H * W]``."""

    def setup(self, data: DataInfo) -> None:
        """Compute the rearrangements for the data's image size."""
        _, height, width = data.image
        self._sources = self.sources(height, width)
        self.num_classes = len(self._sources)

    def label(self, images: Tensor, labels: dict[str, Tensor], generator: BatchGenerator) -> Tensor:
        """Rearrangements drawn uniformly, ``[B]`` long."""
        return generator.integers(self.num_classes, images.device)

    def transform(self, images: Tensor, label: Tensor) -> Tensor:
        """Rearrange each image ``[C, H, W]`` of the batch as its label says."""
        if self._sources.device != images.device:
            self._sources = self._sources.to(images.device)
        pixels = images.flatten(2)
        moved = pixels.gather(2, self._sources[label].unsqueeze(1).expand_as(pixels))
        return moved.view_as(images)


def pixel_grid(height: int, width: int) -> Tensor:
    """Flat index of every pixel, long ``[H, W]``."""
    return torch.arange(height * width).view(height, width)
