"""Refuse a training whose validation or test has no labels to score the target by."""

from torch import Tensor

from gat_lightning.batch import has_label
from gat_lightning.data import ImageDataModule
from gat_lightning.errors import UserError
from gat_lightning.tasks import Task

_NAMES = {"val": "validation", "test": "test"}


def check_scored_labels(data: ImageDataModule, target: Task, limit: int | None) -> None:
    """Raise `UserError` if the target's score is undefined in validation or test.

    It is without a labelled image, and AUROC of a binary target without a positive or without a negative. A target with
    several classes is not checked: it would have its data read, and has labels wherever its classes come from.

    Args:
        data: the data module; its files are on disk.
        target: the target task.
        limit: number of validation images, from the first on, that choose the best checkpoint; None: all.
    """
    if target.kind not in ("binary", "regression"):
        return
    for split, labels in data.split_labels().items():
        if split not in _NAMES:
            continue
        label = labels[target.name]
        if (lacking := _lacking(label, target)) is not None:
            raise UserError(f"{_without(data, target, split, lacking, label)}; {_remedy(data, split)}")
        if split == "val" and limit is not None and (lacking := _lacking(label[:limit], target)) is not None:
            raise UserError(f"{_without(data, target, split, lacking, label[:limit])}; raise validation.images")


def _lacking(label: Tensor, target: Task) -> str | None:
    """What the labels lack for a score."""
    present = label[has_label(label)]
    if not len(present):
        return "has a label"
    if target.kind == "binary" and len(present.unique()) < 2:
        return "is positive" if int(present[0]) == 0 else "is negative"
    return None


def _without(data: ImageDataModule, target: Task, split: str, lacking: str, label: Tensor) -> str:
    labelled = int(has_label(label).sum())
    images = f"{len(label):,}" if lacking == "has a label" else f"{labelled:,} labelled"
    return f"data.target={target.name}: none of the {images} {_NAMES[split]} images {lacking}, so that it has no score"


def _remedy(data: ImageDataModule, split: str) -> str:
    draw = "seed" if data.patient_split is None else "data.split_seed"
    if split == "val":
        return f"use a larger data.val_fraction or data.fraction, or another {draw}"
    return f"use other test images, by a larger data.test_fraction, another {draw} or another data.split"
