"""Warn when validation was too small to pick ``best.ckpt``."""

import logging
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gat_lightning.batch import has_label
from gat_lightning.commands.train.divergence import divergence
from gat_lightning.data import ImageDataModule
from gat_lightning.evaluation.doubts import FEWEST_IMAGES
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import SELECTION
from gat_lightning.training.validation import ScoredModule

log = logging.getLogger(__name__)


def doubt(scores: Sequence[float], label: Tensor, limit: int | None) -> str | None:
    """A warning if validation was too small to pick the best checkpoint.

    Args:
        scores: scores of all validations. The highest one selects the checkpoint, the first of equal ones; undefined
            ones (NaN) select none.
        label: the target's label of every validation image, ``[n]``.
        limit: number of images, from the first on, that the score is computed on; None: all.

    Returns:
        The problem and its remedy if no score is defined, the score never changed, or it is of fewer than 50 labelled
        images. None otherwise, and for a single validation.
    """
    defined = [score for score in scores if not math.isnan(score)]
    if scores and not defined:
        return "There is no best.ckpt, since the validation score was undefined throughout. Use last.ckpt."
    if len(scores) < 2:
        return None
    used = label[:limit]
    labelled = int(has_label(used).sum())
    unmoved = len(set(defined)) == 1
    if not unmoved and labelled >= FEWEST_IMAGES:
        return None
    remedy = "validation.images" if len(used) < len(label) else "data.val_fraction"
    images = f"{len(used):,}" if labelled == len(used) else f"the {labelled:,} labelled of {len(used):,}"
    why = f". The score never changed ({defined[0]:.3g}); the first epoch was kept" if unmoved else ""
    return (
        f"best.ckpt was chosen by {images} validation images{why}. Use more of them by {remedy}=..., or use last.ckpt."
    )


def scores_of(rows: Sequence[Mapping[str, str]]) -> list[float]:
    """Scores of all validations, from the rows of a ``metrics.csv``."""
    return [float(row[SELECTION]) for row in rows if row.get(SELECTION)]


def warn_of_selection(module: ScoredModule, data: ImageDataModule, directory: RunDirectory) -> None:
    """Log a warning if validation was too small to pick ``best.ckpt``, or if the training diverged."""
    scores = scores_of(directory.history())
    data.setup("validate")
    split, target = data.split("val"), module.tasks[0]
    label = split.labels.get(target.name, torch.zeros(len(split)))  # a self-supervised task makes its own
    doubts = [divergence(scores, str(next(iter(target.metrics()))))]
    if directory.checkpoint("best").is_file() or all(map(math.isnan, scores)):
        doubts.append(doubt(scores, label, module.selection_limit))
    for message in doubts:
        if message:
            log.warning(message)
