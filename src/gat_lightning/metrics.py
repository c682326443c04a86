"""Metrics of tasks, on torchmetrics: each is given ``(output, label)`` and leaves out samples without a label."""

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, Metric
from torchmetrics.classification import BinaryAccuracy
from torchmetrics.functional.classification import binary_auroc
from torchmetrics.image import PeakSignalNoiseRatio
from torchmetrics.utilities import dim_zero_cat

from gat_lightning.batch import MISSING, has_label


class LogitAccuracy(BinaryAccuracy):
    """Share of logits ``[B, 1]`` whose sign agrees with labels 0 and 1 ``[B]``."""

    def __init__(self) -> None:
        super().__init__(ignore_index=MISSING)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        super().update((preds.squeeze(1) > 0).long(), target)


class AUROC(Metric):
    """Area under the ROC curve of logits ``[B, 1]`` for labels 0 and 1 ``[B]``, exact.

    NaN unless the labels are of both classes. Torchmetrics' own takes the sigmoid of the batches in which a logit is
    outside [0, 1], and of no other; this one ranks the logits of all batches and ranks together.
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
        """Add a batch."""
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


class ScaledAbsoluteError(MeanAbsoluteError):
    """Mean absolute difference of ``[B, 1]`` and ``[B]``, times ``scale``.

    Args:
        scale: from the label to its unit.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        present = has_label(target)
        super().update(preds.squeeze(1)[present] * self.scale, target[present] * self.scale)


class DenseAbsoluteError(MeanAbsoluteError):
    """Mean absolute difference of two ``[B, c, h, w]``."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        present = has_label(target)
        super().update(preds[present], target[present])


class DensePSNR(PeakSignalNoiseRatio):
    """Peak signal-to-noise ratio of two ``[B, c, h, w]`` with peak 1: -10 log10 of the mean squared error, in dB."""

    def __init__(self) -> None:
        super().__init__(data_range=1.0)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        present = has_label(target)
        super().update(preds[present], target[present])
