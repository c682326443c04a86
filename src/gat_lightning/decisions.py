"""Decisions of classifiers. A NaN or infinite output decides nothing, so that it is never right."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

UNDECIDED = -2
"""The decision on a sample with a NaN or infinite output. It is no class and no label, not even a missing one."""


def is_finite(output: Tensor) -> Tensor:
    """Which samples have finite outputs only, ``[B, ...]`` -> bool ``[B]``."""
    return output.isfinite().flatten(1).all(1)


def decide(logits: Tensor) -> Tensor:
    """The class that a classifier decides for, long ``[B]``.

    Args:
        logits: ``[B, K]``, of which the highest decides; or one logit ``[B, 1]``, which decides for class 1 above 0 and
            for class 0 otherwise.

    Returns:
        The class of each sample; :data:`UNDECIDED` if any of its logits is NaN or infinite.
    """
    classes = (logits.squeeze(1) > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
    return classes.where(is_finite(logits), UNDECIDED)


def decision_name(classes: Sequence[str], decision: int) -> str:
    """The name of a decided class, or "no class"."""
    return "no class" if decision == UNDECIDED else classes[decision]


class OutputCheck(NamedTuple):
    """What a classifier's outputs for some labelled images are.

    Attributes:
        images: number of labelled images.
        non_finite: number of images with a NaN or infinite output.
        decided: number of images by decided class, without the undecided ones; empty for a regression.
        labelled: number of images by label; empty for a regression.
    """

    images: int
    non_finite: int
    decided: Sequence[int]
    labelled: Sequence[int]
