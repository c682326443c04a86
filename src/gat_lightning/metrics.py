"""Metrics of tasks, on torchmetrics: each is given ``(output, label)`` and leaves out samples without a label.

A NaN or infinite output is never right and never a score: accuracy counts it as wrong, and every other metric is NaN.
All metrics are NaN over no labelled sample.
"""

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanMetric, Metric
from torchmetrics.functional.classification import binary_auroc
from torchmetrics.image import PeakSignalNoiseRatio
from torchmetrics.utilities import dim_zero_cat

from gat_lightning.batch import decide, has_label, is_finite


class Accuracy(MeanMetric):
    """Share of samples whose decision, of logits ``[B, K]`` or one logit ``[B, 1]``, is the label ``[B]``."""

    higher_is_better = True  # type: ignore[assignment]  # which of a mean in general is unknown

    def update(self, preds: Tensor, target: Tensor) -> None:  # type: ignore[override]  # not a value and its weight
        """Add a batch."""
        super().update((decide(preds) == target)[has_label(target)].float())


class AUROC(Metric):
    """Area under the ROC curve of logits ``[B, 1]`` for labels 0 and 1 ``[B]``, exact.

    NaN unless the labels are of both classes and all logits are finite. Torchmetrics' own takes the sigmoid of the
    batches in which a logit is outside [0, 1], and of no other; this one ranks the logits of all batches and ranks
    together.
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
        if len(labels.unique()) < 2 or not logits.isfinite().all():
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
        super().update(_nan_if_infinite(preds.squeeze(1)[present]) * self.scale, target[present] * self.scale)


class DenseAbsoluteError(MeanAbsoluteError):
    """Mean absolute difference of two ``[B, c, h, w]``."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        present = has_label(target)
        super().update(_nan_if_infinite(preds[present]), target[present])


class DensePSNR(PeakSignalNoiseRatio):
    """Peak signal-to-noise ratio of two ``[B, c, h, w]`` with peak 1: -10 log10 of the mean squared error, in dB."""

    def __init__(self) -> None:
        super().__init__(data_range=1.0)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        present = has_label(target)
        super().update(_nan_if_infinite(preds[present]), target[present])


class OutputCounts(Metric):
    """Counts of labelled samples: all, those with a NaN or infinite output, and those of each decision and each label.

    Also counted are those that a gradient attack has attacked, and those of them whose gradient was zero.

    Args:
        classes: number of classes of the task; 0 for a regression.
    """

    full_state_update = False
    images: Tensor
    non_finite: Tensor
    decided: Tensor
    labelled: Tensor
    gradients: Tensor
    zero_gradients: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        counts: dict[str, tuple[int, ...]] = dict.fromkeys(("images", "non_finite", "gradients", "zero_gradients"), ())
        by_class = dict.fromkeys(("decided", "labelled"), (classes,))
        for name, size in {**counts, **by_class}.items():
            self.add_state(name, torch.zeros(size, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor, zero_gradient: Tensor | None = None) -> None:
        """Add a batch; ``zero_gradient`` says whose gradient was zero, bool ``[B]``, None without a gradient attack."""
        present = has_label(target)
        if zero_gradient is not None:
            self.gradients += present.sum()
            self.zero_gradients += (zero_gradient & present).sum()
        preds, target = preds[present], target[present]
        finite = is_finite(preds)
        self.images += len(preds)
        self.non_finite += (~finite).sum()
        if classes := len(self.decided):
            self.decided += torch.bincount(decide(preds)[finite], minlength=classes)
            self.labelled += torch.bincount(target, minlength=classes)

    def compute(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Over all batches and ranks: images, non-finite, the counts by decided class and by label, and a share.

        The share is that of a zero gradient among the attacked samples, NaN if there are none.
        """
        return self.images, self.non_finite, self.decided, self.labelled, self.zero_gradients / self.gradients


def _nan_if_infinite(values: Tensor) -> Tensor:
    return values.where(values.isfinite(), torch.nan)
