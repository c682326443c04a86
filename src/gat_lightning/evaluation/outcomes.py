"""Outcome of each image: prediction, loss, worst case over attacks, and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gat_lightning.batch import UNDECIDED
from gat_lightning.evaluation.doubts import OutputCheck
from gat_lightning.tasks.base import Kind


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of a classifier, one row per image.

    Attributes:
        prediction: predicted class, int64, or predicted value of a regression, float32; ``[n]``. The class is
            :data:`~gat_lightning.batch.UNDECIDED` where an output is NaN or infinite.
        correct: whether the class is correct, bool ``[n]``; always False for a regression.
        loss: loss of the task, float32 ``[n]``.
        score: float32 ``[n]``. Multiclass: logit of the true class minus the highest other one, above 0 if correct.
            Binary: logit of class 1, by which AUROC ranks. Regression: the prediction. NaN where an output is NaN or
            infinite, and only there.
    """

    prediction: NDArray[np.generic]
    correct: NDArray[np.bool_]
    loss: NDArray[np.float32]
    score: NDArray[np.float32]

    @property
    def non_finite(self) -> int:
        """Number of images with a NaN or infinite output."""
        return int(np.isnan(self.score).sum())

    def take(self, rows: NDArray[np.generic]) -> Outcomes:
        """Outcomes of some rows."""
        return Outcomes(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def replaced(self, rows: NDArray[np.generic], others: Outcomes) -> Outcomes:
        """A copy with other outcomes at some rows."""
        columns = {field.name: getattr(self, field.name).copy() for field in fields(self)}
        for name, column in columns.items():
            column[rows] = getattr(others, name)
        return Outcomes(**columns)


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """Concatenate the outcomes of consecutive images."""
    return Outcomes(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Outcomes)}
    )


def signed_logits(outcomes: Outcomes, labels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Logit towards the label of each image of a binary target, ``[n]``; minus infinity where it is not finite."""
    return np.nan_to_num(np.where(labels == 1, outcomes.score, -outcomes.score), nan=-np.inf)


def worst_ranked(views: Sequence[Outcomes], labels: NDArray[np.generic]) -> Outcomes:
    """Outcome of each image of a binary target with the lowest signed logit.

    AUROC and accuracy of the result are at most those under any test condition.
    """
    return _chosen(views, np.stack([signed_logits(view, labels) for view in views]).argmin(0))


def worst(views: Sequence[Outcomes]) -> Outcomes:
    """Worst outcome of each image: wrong before correct, then by loss.

    An image is correct in the result if it is correct under every test condition.
    """
    losses = np.nan_to_num(np.stack([view.loss for view in views]), nan=np.inf)
    wrong = np.stack([~view.correct for view in views])
    # +inf stays comparable: among equals the first is taken.
    return _chosen(views, np.where(wrong.any(0), np.where(wrong, losses, -np.inf), losses).argmax(0))


def _chosen(views: Sequence[Outcomes], chosen: NDArray[np.intp]) -> Outcomes:
    """For each image its outcome under the chosen test condition."""
    images = np.arange(len(chosen))
    return Outcomes(
        **{
            field.name: np.stack([getattr(view, field.name) for view in views])[chosen, images]
            for field in fields(Outcomes)
        }
    )


def check_outputs(
    kind: Kind, outcomes: Outcomes, labels: NDArray[np.generic], classes: int, zero_gradient: float | None = None
) -> OutputCheck:
    """Check the outputs under one test condition.

    Args:
        kind: kind of the target.
        outcomes: the outcomes.
        labels: of the images.
        classes: number of classes of the target.
        zero_gradient: share of the images whose gradient was zero under the attack.
    """
    non_finite = outcomes.non_finite
    if kind == "regression":
        return OutputCheck(len(labels), non_finite, [], [], zero_gradient)
    decided = outcomes.prediction[outcomes.prediction != UNDECIDED]
    by_decision, by_label = (
        np.bincount(each.astype(np.int64), minlength=classes).tolist() for each in (decided, labels)
    )
    return OutputCheck(len(labels), non_finite, by_decision, by_label, zero_gradient)


def measure(kind: Kind, outcomes: Outcomes, labels: NDArray[np.generic]) -> dict[str, float]:
    """Compute the metrics under one test condition.

    Returns:
        ``accuracy`` of several classes; of a binary label ``auroc`` (NaN if only one class is present), then
            ``accuracy`` by the sign of the logit; of a regression ``mae``, the mean absolute error in the label's
            units. A NaN or infinite output is wrong in the accuracy, and makes AUROC and MAE NaN. Without an image all
            are NaN.
    """
    if len(labels) == 0:
        return dict.fromkeys({"regression": ["mae"], "binary": ["auroc", "accuracy"]}.get(kind, ["accuracy"]), np.nan)
    if kind == "regression":
        return {"mae": float(np.abs(outcomes.score - labels.astype(np.float32)).mean())}
    accuracy = {"accuracy": float(outcomes.correct.mean())}
    return {"auroc": auroc(labels, outcomes.score), **accuracy} if kind == "binary" else accuracy


def auroc(labels: NDArray[np.generic], scores: NDArray[np.generic]) -> float:
    """Area under the ROC curve, by ranks (Mann and Whitney); NaN if only one class is present or a score is NaN.

    Args:
        labels: 0 or 1, ``[n]``.
        scores: higher for class 1, ``[n]``.
    """
    positive = labels == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if ones == 0 or zeros == 0 or np.isnan(scores).any():
        return float("nan")
    return float((rankdata(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
