"""A self-supervised task: is this image a negative?"""

import torch
from torch import Tensor

from gat_lightning import BatchGenerator, DataInfo, MulticlassTask


class Inversion(MulticlassTask):
    """Inverts half of the images and predicts which ones."""

    name = "inversion"
    num_classes = 2
    labels_read = ()  # none of the data set's labels

    def setup(self, data: DataInfo) -> None:
        """Nothing to learn from the data set: any images will do."""

    def label(
        self,
        images: Tensor,
        labels: dict[str, Tensor],
        generator: BatchGenerator,
    ) -> Tensor:
        """0 for an image as it is, 1 for a negative, ``[B]``."""
        return generator.integers(self.num_classes, images.device)

    def transform(self, images: Tensor, label: Tensor) -> Tensor:
        """Invert the images with label 1."""
        inverted = label.view(-1, 1, 1, 1) == 1
        return torch.where(inverted, 1 - images, images)
