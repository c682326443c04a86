"""Accuracy of each class, and the class with the lowest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.statistics import accuracy_interval


class ClassAccuracy(NamedTuple):
    """Accuracy on the images of one class.

    Attributes:
        images: number of images with this label.
        accuracy: share of these that are classified correctly.
        interval: 95 % interval ``[low, high]``, over patients where images belong to them.
    """

    images: int
    accuracy: float
    interval: list[float]


ByClass = dict[str, ClassAccuracy]


def accuracy_by_class(predictions: Predictions, classes: Sequence[str]) -> dict[str, ByClass]:
    """Accuracy of every class that has an image, by view; empty for a regression.

    Args:
        predictions: of an evaluation.
        classes: names of the target's classes; numbers where there are none.
    """
    if predictions.kind == "regression":
        return {}
    rows = {label: np.flatnonzero(predictions.labels == label) for label in np.unique(predictions.labels).tolist()}
    found: dict[str, ByClass] = {view: {} for view in predictions.views}
    for view, outcomes in predictions.views.items():
        for label, own in rows.items():
            correct = outcomes.correct[own]
            groups = None if predictions.groups is None else predictions.groups[own]
            interval = list(accuracy_interval(correct, groups))
            name = classes[label] if label < len(classes) else str(label)
            found[view][name] = ClassAccuracy(len(own), float(correct.mean()), interval)
    return found


def worst_class(by_class: Mapping[str, ClassAccuracy]) -> str:
    """Name of the class with the lowest accuracy, the first of several."""
    return min(by_class, key=lambda name: by_class[name].accuracy)


def class_record(by_class: Mapping[str, ClassAccuracy]) -> dict[str, Any]:
    """The accuracies of one view as ``result.json`` keeps them."""
    return {
        "worst": worst_class(by_class),
        "classes": {name: each._asdict() for name, each in by_class.items()},
    }
