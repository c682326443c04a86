"""Targeted attacks: which class becomes which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gat_lightning.evaluation.outcomes import Outcomes


class Becoming(NamedTuple):
    """What a targeted attack made of the images that it moved.

    Attributes:
        attacked: number of images that it moved towards another class.
        reached: share of these that are classified as their target.
        fooled: share of these that are misclassified, as whatever class.
        counts: number of these by class (rows) and by what they are classified as (columns), ``[K, K]``; undecided ones
            are in no column.
    """

    attacked: int
    reached: float
    fooled: float
    counts: NDArray[np.int64]

    def record(self, classes: Sequence[str]) -> dict[str, Any]:
        """The figures as ``result.json`` keeps them, without the pairs of classes that do not occur."""
        becomes = {
            name: {classes[column]: count for column, count in enumerate(row) if count}
            for name, row in zip(classes, self.counts.tolist(), strict=True)
            if any(row)
        }
        return {"attacked": self.attacked, "reached": self.reached, "fooled": self.fooled, "becomes": becomes}


def becoming(outcomes: Outcomes, labels: NDArray[np.generic], targets: NDArray[np.generic], classes: int) -> Becoming:
    """What a targeted attack made of the images.

    Args:
        outcomes: under the attack.
        labels: true class of each image, ``[n]``.
        targets: class that each was moved towards, ``[n]``; -1 if none.
        classes: number K of classes.
    """
    aims = targets.astype(np.int64)
    moved = aims >= 0
    said, own = outcomes.prediction[moved].astype(np.int64), labels[moved].astype(np.int64)
    counts = np.zeros((classes, classes), np.int64)
    decided = said >= 0
    np.add.at(counts, (own[decided], said[decided]), 1)
    if not moved.any():
        return Becoming(0, float("nan"), float("nan"), counts)
    return Becoming(int(moved.sum()), float((said == aims[moved]).mean()), float((said != own).mean()), counts)
