"""Whether the validation could tell a run's epochs apart, so that ``best.ckpt`` deserves its name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from gat_lightning.data import ImageDataModule
from gat_lightning.runs.metric_names import SELECTION
from gat_lightning.runs.metrics_csv import FILE, read_rows
from gat_lightning.training.validation import ScoredModule

log = logging.getLogger(__name__)

FEWEST_IMAGES = 50
"""With fewer, one image more or less is above 2 %."""


def doubt(scores: Sequence[float], images: int, limit: int | None) -> str | None:
    """A warning where the best checkpoint was chosen by too little.

    Args:
        scores: of all validations, of which the highest has chosen, the first among equals.
        images: of the validation split.
        limit: how many of them the score is taken of; all if None.

    Returns:
        What is doubtful and what helps: the score never changed, or is of under 50 images. None where all is well, or
        there was nothing to choose from.
    """
    if len(scores) < 2:
        return None
    used = images if limit is None else min(limit, images)
    unmoved = len(set(scores)) == 1
    if not unmoved and used >= FEWEST_IMAGES:
        return None
    remedy = "validation.images" if used < images else "data.val_fraction"
    why = f", with a score of {scores[0]:.3g} each of {len(scores)} times: it is the first one's" if unmoved else ""
    return f"best.ckpt was chosen by {used} validation images{why}. Take more of them by {remedy}=..., or last.ckpt."


def scores_of(rows: Sequence[Mapping[str, str]]) -> list[float]:
    """The scores of all validations, of the rows of a ``metrics.csv``."""
    return [float(row[SELECTION]) for row in rows if row.get(SELECTION)]


def warn_of_selection(module: ScoredModule, data: ImageDataModule, directory: Path) -> None:
    """Say so where there is a best checkpoint that the validation chose by too little."""
    if (directory / "checkpoints" / "best.ckpt").is_file():
        data.setup("validate")
        message = doubt(scores_of(read_rows(directory / FILE)), len(data.split("val")), module.selection_limit)
        if message:
            log.warning(message)
