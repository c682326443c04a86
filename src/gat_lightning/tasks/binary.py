"""Label tasks with a yes or a no, such as a pathology."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import BinaryAccuracy
from torchmetrics.functional.classification import binary_auroc
from torchmetrics.utilities import dim_zero_cat

from gat_lightning.batch import MISSING, has_label
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo
from gat_lightning.models.decoders import LinearDecoder
from gat_lightning.models.features import FeatureInfo
from gat_lightning.tasks.base import Task, masked
from gat_lightning.tasks.classification import label_info

BALANCED = "balanced"


class BinaryClassification(Task):
    """Is it there or not: one logit, binary cross-entropy (paper, section 5.1: pathologies); scored by AUROC.

    Args:
        name: of a binary label of the data set, which is also the task's.
        pos_weight: weight of the positives in the loss: a number above 0, ``balanced`` for the negatives per positive
            among the training images that the data set lists, or ``None`` for 1.

    Raises:
        UserError: ``pos_weight`` is none of these.
    """

    kind = "binary"

    def __init__(self, name: str, pos_weight: float | str | None = None) -> None:
        self.name = name
        number = isinstance(pos_weight, (int, float)) and not isinstance(pos_weight, bool)
        if not (pos_weight is None or pos_weight == BALANCED or (number and 0 < float(pos_weight) < float("inf"))):
            raise UserError(
                f"task.{name}.pos_weight={pos_weight!r}: it must be a number above 0, {BALANCED}, or null for 1"
            )
        self.pos_weight = pos_weight
        self._weight = 1.0

    def setup(self, data: DataInfo) -> None:
        """Learn the weight of the positives.

        Raises:
            UserError: the data set has no such label, it is not binary, or there is nothing to balance.
        """
        info = label_info(data, self.name, "binary")
        if self.pos_weight == BALANCED:
            if len(info.counts) != 2 or 0 in info.counts:
                raise UserError(
                    f"task.{self.name}.pos_weight={BALANCED}: the training images of '{data.name}' must have negatives"
                    f" and positives; it counts {list(info.counts)}. Give a number, or null"
                )
            negatives, positives = info.counts
            self._weight = negatives / positives
        elif self.pos_weight is not None:
            self._weight = float(self.pos_weight)

    def decoder(self, features: FeatureInfo) -> nn.Module:
        """One dense layer with one output on the penultimate features."""
        return LinearDecoder(features.dim, 1)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy of logits ``[B, 1]`` against 0 and 1 ``[B]``; ``[B]``, 0 where the label is missing."""
        logit = output.squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logit,
            label.clamp(min=0).to(logit.dtype),
            reduction="none",
            pos_weight=None if self._weight == 1 else logit.new_tensor(self._weight),
        )
        return masked(loss, label)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Of no and of yes, for logits ``[B, 1]``: ``[B, 2]``."""
        return nn.functional.logsigmoid(torch.cat([-output, output], 1))

    def metrics(self) -> MetricCollection:
        """AUROC, then accuracy at logit 0, over the samples that have a label."""
        metrics = MetricCollection({"auroc": AUROC()})
        metrics.add_metrics({"accuracy": LogitAccuracy()})  # the collection sorts by name what it is given at once
        return metrics


class LogitAccuracy(BinaryAccuracy):
    """Share of logits ``[B, 1]`` whose sign agrees with labels 0 and 1 ``[B]``; -1 is left out."""

    def __init__(self) -> None:
        super().__init__(ignore_index=MISSING)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch."""
        super().update((preds.squeeze(1) > 0).long(), target)


class AUROC(Metric):
    """Area under the ROC curve of logits ``[B, 1]`` for labels 0 and 1 ``[B]``, exact; -1 is left out.

    NaN where the labels are not of both classes. Torchmetrics' own takes the sigmoid of a batch if one of its logits
    is outside [0, 1], and of another not; this one ranks the logits of all batches and ranks together.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True
    logits: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        # A process without any batch must not leave the others waiting for its lists.
        self.logits.append(torch.empty(0, device=self.device))
        self.labels.append(torch.empty(0, dtype=torch.long, device=self.device))

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Keep a batch."""
        present = has_label(target)
        self.logits.append(preds.squeeze(1)[present].float())
        self.labels.append(target[present])

    def compute(self) -> Tensor:
        """The area, in [0, 1], or NaN."""
        logits, labels = dim_zero_cat(self.logits).cpu(), dim_zero_cat(self.labels).cpu()
        if len(labels.unique()) < 2:
            return torch.tensor(float("nan"), device=self.device)
        order = logits.unique(return_inverse=True)[1]
        score = (order + 1).double() / (len(order) + 1)
        return binary_auroc(score, labels, validate_args=False).float().to(self.device)
