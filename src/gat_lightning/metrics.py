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


class ImageOutcomes(Metric):
    """What a target's output is for each labelled image, of all batches and ranks.

    Args:
        kind: of the target.
        scale: from a regression's label to its unit.
    """

    full_state_update = False
    index: list[Tensor]
    labels: list[Tensor]
    score: list[Tensor]
    correct: list[Tensor]

    def __init__(self, kind: str, scale: float = 1.0) -> None:
        super().__init__()
        self.kind, self.scale = kind, scale
        for name in ("index", "labels", "score", "correct"):
            self.add_state(name, [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        # A process without any batch must not leave the others waiting for its lists.
        of_label = torch.float32 if self.kind == "regression" else torch.long
        for state, dtype in (
            (self.index, torch.long),
            (self.labels, of_label),
            (self.score, torch.float32),
            (self.correct, torch.bool),
        ):
            state.append(torch.empty(0, dtype=dtype, device=self.device))

    def update(self, preds: Tensor, target: Tensor, index: Tensor) -> None:
        """Add a batch; ``index`` is the position of each image in its split, ``[B]``."""
        present = has_label(target)
        preds, target = preds[present], target[present]
        finite = is_finite(preds)
        score = torch.zeros(len(preds), device=preds.device) if self.kind == "multiclass" else preds.squeeze(1).float()
        self.index.append(index[present])
        self.labels.append(target.float() * self.scale if self.kind == "regression" else target)
        self.score.append((score * self.scale).where(finite, torch.nan))
        self.correct.append(torch.zeros_like(finite) if self.kind == "regression" else decide(preds) == target)

    def compute(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Position, label, score and whether the class is correct, each ``[n]`` on the CPU, in the split's order.

        The score is the logit of a binary target, the value of a regression, and 0 where there are several classes;
        NaN where the output is not finite.
        """
        index = dim_zero_cat(self.index).cpu()
        order = index.argsort(stable=True)
        labels, score, correct = (dim_zero_cat(each).cpu()[order] for each in (self.labels, self.score, self.correct))
        return index[order], labels, score, correct


def _nan_if_infinite(values: Tensor) -> Tensor:
    return values.where(values.isfinite(), torch.nan)
