"""Confusion matrices before and after an attack."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from gat_lightning.batch import UNDECIDED
from gat_lightning.errors import UserError

# Largest number of classes for which each cell has its figure written in it.
_WITH_NUMBERS = 15


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Number of images of each true class (rows) by predicted class (columns), ``[classes, classes]``.

    Images on which the classifier is undecided are in no column.

    Args:
        labels: true classes ``[n]``, in [0, ``classes``).
        predictions: predicted classes ``[n]``, likewise, or :data:`~gat_lightning.batch.UNDECIDED`.
        classes: number of classes.

    Raises:
        UserError: lengths differ, or a class is out of range.
    """
    true, said = np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)
    if true.shape != said.shape or true.ndim != 1:
        raise UserError(f"a confusion matrix needs a prediction per label, got {true.shape} and {said.shape}")
    decided = said != UNDECIDED
    both = np.concatenate([true, said[decided]])
    if len(both) and not (both.min() >= 0 and both.max() < classes):
        raise UserError(f"a confusion matrix of {classes} classes got class {both.min()} to {both.max()}")
    return np.bincount((true * classes + said)[decided], minlength=classes**2).reshape(classes, classes)


def confusion_before_and_after(
    labels: ArrayLike,
    clean_predictions: ArrayLike,
    adversarial_predictions: ArrayLike,
    classes: Sequence[str],
    path: Path,
    *,
    attack: str = "attack",
) -> Path:
    """Draw both confusion matrices side by side, each row in percent of its true class.

    Args:
        labels: true classes ``[n]``.
        clean_predictions: predicted classes before the attack, ``[n]``.
        adversarial_predictions: predicted classes after the attack, ``[n]``.
        classes: names of the classes.
        path: file of the picture; its suffix selects the format.
        attack: name of the attack.

    Raises:
        UserError: as for :func:`confusion_matrix`.
    """
    size = max(3.2, min(12.0, 0.34 * len(classes) + 0.9))
    figure = Figure(figsize=(2 * size + 0.8, size + 0.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name, predictions in zip(
        panels, ("clean", f"after {attack}"), (clean_predictions, adversarial_predictions), strict=True
    ):
        counts = confusion_matrix(labels, predictions, len(classes))
        of_class = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(classes))
        share = 100 * counts / np.maximum(of_class, 1)[:, None]
        drawn = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
        accuracy = counts.trace() / of_class.sum() if of_class.any() else float("nan")
        axes.set_title(f"{name}: {accuracy:.1%} right", fontsize=11)
        axes.set_xlabel("predicted class")
        axes.set_xticks(range(len(classes)), classes, rotation=45 if _long(classes) else 0, fontsize=8)
        if _long(classes):
            for text in axes.get_xticklabels():
                text.set_ha("right")
        if len(classes) <= _WITH_NUMBERS:
            for (row, column), value in np.ndenumerate(share):
                if value >= 0.5:
                    colour = "white" if value > 50 else "black"
                    axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    panels[0].set_ylabel("true class")
    panels[0].set_yticks(range(len(classes)), classes, fontsize=8)
    figure.colorbar(drawn, ax=panels, label="% of the true class", shrink=0.85)
    figure.savefig(path, dpi=130, bbox_inches="tight", pad_inches=0.1)
    return path


def _long(classes: Sequence[str]) -> bool:
    return max(map(len, classes)) > 3
