"""Regression label tasks, such as the patient's age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gat_lightning.batch import has_label
from gat_lightning.info import DataInfo
from gat_lightning.models.features import FeatureInfo, LinearDecoder
from gat_lightning.tasks.base import Task, masked
from gat_lightning.tasks.classification import label_info

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Regression(Task):
    """Regression with one output and mean absolute error (paper, section 5.1: age).

    Args:
        name: of a regression label of the data set, which is also the task's.
    """

    kind = "regression"

    def __init__(self, name: str) -> None:
        self.name = name
        self._scale = 1.0

    @property
    def scale(self) -> float:
        """100 for an age in years of which the label is a hundredth; known after :meth:`setup`."""
        return self._scale

    def setup(self, data: DataInfo) -> None:
        """Learn the label's unit.

        Raises:
            ValueError: the data set has no such label, or it is not a number.
        """
        self._scale = label_info(data, self.name, "regression").scale

    def decoder(self, features: FeatureInfo) -> nn.Module:
        """One dense layer with one output on the penultimate features."""
        return LinearDecoder(features.dim, 1)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Absolute difference of ``[B, 1]`` and ``[B]``, in the label's scale; ``[B]``, 0 where it is missing."""
        wanted = torch.where(has_label(label), label, torch.zeros_like(label))
        return masked((output.squeeze(1) - wanted).abs(), label)

    def metrics(self) -> MetricCollection:
        """Mean absolute error over the samples that have a label, in the label's unit (years of age)."""
        from torchmetrics import MetricCollection

        from gat_lightning.metrics import ScaledAbsoluteError

        return MetricCollection({"mae": ScaledAbsoluteError(self._scale)})
