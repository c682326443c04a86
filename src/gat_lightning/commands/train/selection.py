"""Warn when validation was too small to pick ``best.ckpt``."""

import logging
from collections.abc import Mapping, Sequence

from gat_lightning.data import ImageDataModule
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import SELECTION
from gat_lightning.training.validation import ScoredModule

log = logging.getLogger(__name__)

FEWEST_IMAGES = 50
"""With fewer, one image more or less is above 2 %."""


def doubt(scores: Sequence[float], images: int, limit: int | None) -> str | None:
    """A warning if validation was too small to pick the best checkpoint.

    Args:
        scores: scores of all validations. The highest one selects the checkpoint, the first of equal ones.
        images: number of images of the validation split.
        limit: number of images that the score is computed on; None: all.

    Returns:
        The problem and its remedy if the score never changed or is of fewer than 50 images. None otherwise, and for a
        single validation.
    """
    if len(scores) < 2:
        return None
    used = images if limit is None else min(limit, images)
    unmoved = len(set(scores)) == 1
    if not unmoved and used >= FEWEST_IMAGES:
        return None
    remedy = "validation.images" if used < images else "data.val_fraction"
    why = f". The score never changed ({scores[0]:.3g}); the first epoch was kept" if unmoved else ""
    return f"best.ckpt was chosen by {used} validation images{why}. Use more of them by {remedy}=..., or use last.ckpt."


def scores_of(rows: Sequence[Mapping[str, str]]) -> list[float]:
    """Scores of all validations, from the rows of a ``metrics.csv``."""
    return [float(row[SELECTION]) for row in rows if row.get(SELECTION)]


def warn_of_selection(module: ScoredModule, data: ImageDataModule, directory: RunDirectory) -> None:
    """Log a warning if validation was too small to pick ``best.ckpt``."""
    if directory.checkpoint("best").is_file():
        data.setup("validate")
        message = doubt(scores_of(directory.history()), len(data.split("val")), module.selection_limit)
        if message:
            log.warning(message)
