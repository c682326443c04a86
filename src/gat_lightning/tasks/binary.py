"""Binary label tasks, such as a pathology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gat_lightning.attacks import losses
from gat_lightning.batch import has_label
from gat_lightning.errors import SettingError
from gat_lightning.info import DataInfo
from gat_lightning.models.features import FeatureInfo, LinearDecoder
from gat_lightning.tasks.base import Task, masked
from gat_lightning.tasks.classification import label_info
from gat_lightning.validate import check_real

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

BALANCED = "balanced"


class BinaryClassification(Task):
    """Binary classification with one logit and binary cross-entropy; scored by AUROC (paper, section 5.1: pathologies).

    Args:
        name: of a binary label of the data set, which is also the task's.
        pos_weight: weight of the positives in the loss: a number above 0, ``balanced`` for the negatives per positive
            among the training images that the data set lists, or ``None`` for 1.
        label_smoothing: share ε of the label that the training loss moves to the middle, in [0, 1): 0 and 1 become ε/2
            and 1 - ε/2. Attacks and scores are of the label itself.

    Raises:
        SettingError: ``pos_weight`` is none of these, or ``label_smoothing`` is out of range.
    """

    kind = "binary"

    def __init__(self, name: str, pos_weight: float | str | None = None, label_smoothing: float = 0.0) -> None:
        self.name = name
        self.pos_weight = check_real("pos_weight", pos_weight, 0, closed="neither", also=(None, BALANCED))
        self.label_smoothing = check_real("label_smoothing", label_smoothing, 0, 1, closed="left", example=0.1)
        self._weight = 1.0

    def setup(self, data: DataInfo) -> None:
        """Learn the weight of the positives.

        Raises:
            ValueError: the data set has no such label, it is not binary, or there is nothing to balance.
        """
        info = label_info(data, self.name, "binary")
        if self.pos_weight == BALANCED:
            if len(info.counts) != 2 or 0 in info.counts:
                raise SettingError(
                    "pos_weight",
                    BALANCED,
                    f"a number: the training images of '{data.name}' must have negatives and positives to be balanced,"
                    f" and it counts {list(info.counts)}",
                    also=(None,),
                )
            negatives, positives = info.counts
            self._weight = negatives / positives
        elif self.pos_weight is not None:
            self._weight = float(self.pos_weight)

    def decoder(self, features: FeatureInfo) -> nn.Module:
        """One dense layer with one output on the penultimate features."""
        return LinearDecoder(features.dim, 1)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy of logits ``[B, 1]`` against 0 and 1 ``[B]``; ``[B]``, 0 where the label is missing.

        Labels may be probabilities of 1 too, ``[B]`` float, NaN where they are missing.
        """
        logit = output.squeeze(1)
        positive = torch.where(has_label(label), label, 0).to(logit.dtype)
        if self.label_smoothing:
            positive = positive * (1 - self.label_smoothing) + self.label_smoothing / 2
        loss = nn.functional.binary_cross_entropy_with_logits(
            logit,
            positive,
            reduction="none",
            pos_weight=None if self._weight == 1 else logit.new_full((), self._weight),
        )
        return masked(loss, label)

    def attack_loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy from the signed logit, without smoothing, ``[B]``; that of a subclass with another loss."""
        if type(self).loss is not BinaryClassification.loss:
            return self.loss(output, label)
        return losses.binary_cross_entropy(output.squeeze(1), label, self._weight)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Of no and of yes, for logits ``[B, 1]``: ``[B, 2]``."""
        return nn.functional.logsigmoid(torch.cat([-output, output], 1))

    def logits(self, output: Tensor) -> Tensor:
        """0 for no and the logit for yes, ``[B, 2]``."""
        return nn.functional.pad(output, (1, 0))

    def metrics(self) -> MetricCollection:
        """AUROC, then accuracy at logit 0, over the samples that have a label."""
        from torchmetrics import MetricCollection

        from gat_lightning.metrics import AUROC, Accuracy

        metrics = MetricCollection({"auroc": AUROC()})
        metrics.add_metrics({"accuracy": Accuracy()})  # the collection sorts by name what it is given at once
        return metrics
