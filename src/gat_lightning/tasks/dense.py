"""Base class of dense tasks, whose output is an image."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gat_lightning.batch import has_label
from gat_lightning.models import FeatureInfo, UNetDecoder
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks.base import Task, masked

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class DenseTask(Task):
    """Predicts an image made of the one that the network sees (paper, Table 5): U-Net decoder, mean absolute error.

    The label is made of the clean image before any attack, once per batch, without a graph and in full precision; it
    stays the same for the adversarial image.

    Attributes:
        shape: ``(c, h, w)`` of the label, known after :meth:`setup`.
    """

    kind = "dense"
    shape: tuple[int, int, int]

    @abstractmethod
    def wanted(self, images: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """The label ``[B, c, h, w]``, of values in [0, 1] or NaN, of images ``[B, C, H, W]`` in [0, 1]."""

    @torch.no_grad()
    def label(self, images: Tensor, labels: dict[str, Tensor], generator: BatchGenerator) -> Tensor:
        """The label ``[B, c, h, w]`` of each image; nothing is drawn."""
        with torch.autocast(images.device.type, enabled=False):
            return self.wanted(images, labels)

    def decoder(self, features: FeatureInfo) -> nn.Module:
        """A U-Net decoder on the encoder's stages.

        Raises:
            ValueError: the encoder has none.
        """
        if not features.stages:
            raise ValueError(
                f"The task '{self.name}' makes an image of the encoder's feature maps, and this encoder has none"
                " (transformers do not). Choose a convolutional one, such as preact_resnet18, or name its maps:"
                " attach_tasks(..., stages=[...])."
            )
        return UNetDecoder(features.stages, self.shape)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Absolute difference of two ``[B, c, h, w]``, averaged over the elements; ``[B]``, 0 where it is missing."""
        wanted = torch.where(_present(label), label, 0)
        return masked((output - wanted).abs().flatten(1).mean(1), label)

    def metrics(self) -> MetricCollection:
        """Mean absolute error, then peak signal-to-noise ratio in dB (peak 1), over the samples that have a label."""
        from torchmetrics import MetricCollection

        from gat_lightning.metrics import DenseAbsoluteError, DensePSNR

        return MetricCollection({"l1": DenseAbsoluteError(), "psnr": DensePSNR()})


def _present(label: Tensor) -> Tensor:
    """Which samples have a label, bool ``[B, 1, 1, 1]``."""
    return has_label(label)[:, None, None, None]
