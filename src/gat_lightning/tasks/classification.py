"""Multi-class label tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gat_lightning.attacks import losses
from gat_lightning.batch import MISSING, has_label
from gat_lightning.errors import MissingLabelError
from gat_lightning.info import DataInfo, LabelInfo, LabelKind
from gat_lightning.models.features import FeatureInfo, LinearDecoder
from gat_lightning.tasks.base import Task, masked
from gat_lightning.validate import check_real

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class MulticlassTask(Task):
    """Cross-entropy over ``num_classes`` classes with a linear decoder (paper, section 4.1); scored by accuracy."""

    kind = "multiclass"
    num_classes: int
    label_smoothing: float = 0.0
    """Share of the label that the loss spreads evenly over all classes, in [0, 1)."""

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return self.num_classes

    def decoder(self, features: FeatureInfo) -> nn.Module:
        """One dense layer on the penultimate features."""
        return LinearDecoder(features.dim, self.num_classes)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy of logits ``[B, K]`` against classes ``[B]``; ``[B]``, 0 where the label is missing.

        Labels may be probabilities of the classes too, ``[B, K]`` float, NaN where they are missing.
        """
        if label.is_floating_point():
            known = torch.where(has_label(label)[:, None], label, 0)
            smoothed = known * (1 - self.label_smoothing) + self.label_smoothing / self.num_classes
            return masked(-(smoothed * output.log_softmax(1)).sum(1), label)
        return nn.functional.cross_entropy(
            output, label, reduction="none", ignore_index=MISSING, label_smoothing=self.label_smoothing
        )

    def attack_loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy from the margin, without smoothing, ``[B]``; the loss of a subclass that has another one."""
        own = type(self).loss is not MulticlassTask.loss
        return self.loss(output, label) if own else losses.cross_entropy(output, label)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Log-softmax of logits ``[B, K]``."""
        return output.log_softmax(1)

    def logits(self, output: Tensor) -> Tensor:
        """The output itself, ``[B, K]``."""
        return output

    def metrics(self) -> MetricCollection:
        """Accuracy over the samples that have a label."""
        from torchmetrics import MetricCollection

        from gat_lightning.metrics import Accuracy

        return MetricCollection({"accuracy": Accuracy()})


def label_info(data: DataInfo, name: str, kind: LabelKind, remedy: str = "") -> LabelInfo:
    """What is known of a label that a task is to predict.

    Args:
        data: the data set.
        name: the label.
        kind: what the task can predict.
        remedy: what to do if there is no such label.

    Raises:
        MissingLabelError: the data set has no such label.
        ValueError: it is of another kind.
    """
    if name not in data.labels:
        raise MissingLabelError(
            f"The data set '{data.name}' has no label '{name}'; it has: {', '.join(sorted(data.labels))}."
            f" {remedy}".rstrip()
        )
    found = data.labels[name]
    if found.kind != kind:
        raise ValueError(f"The label '{name}' of '{data.name}' is {found.kind}, and this task needs a {kind} one.")
    return found


class Classification(MulticlassTask):
    """Predicts a class label of the data set.

    Args:
        name: the label's name, which is also the task's.
        label_smoothing: share ε of the label that the training loss spreads evenly over all classes, in [0, 1) (Szegedy
            et al., "Rethinking the Inception architecture", CVPR 2016, section 7). Attacks and scores are of the label
            itself.

    Raises:
        SettingError: ``label_smoothing`` is out of range.
    """

    def __init__(self, name: str, label_smoothing: float = 0.0) -> None:
        self.name = name
        self.label_smoothing = check_real("label_smoothing", label_smoothing, 0, 1, closed="left", example=0.1)

    def setup(self, data: DataInfo) -> None:
        """Learn the number of classes.

        Raises:
            ValueError: the data set has no label of this name, or it has no classes.
        """
        self.num_classes = len(label_info(data, self.name, "multiclass", self._remedy()).classes)

    def _remedy(self) -> str:
        return ""


class Macro(Classification):
    """Macro classes: a coarse partition of the target's classes, such as vehicle and animal (paper, section 5.1)."""

    def __init__(self) -> None:
        super().__init__("macro")

    def _remedy(self) -> str:
        return "Define macro classes, for example data.macro='{round: [0, 6, 8, 9], open: [1, 2, 3, 4, 5, 7]}'."
