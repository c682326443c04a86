"""Scores of a finished training by name, for sweepers."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import SELECTION, SPLITS
from gat_lightning.runs.result import read_result


def best_scores(directory: Path) -> dict[str, float]:
    """Validation and test scores of a run's best checkpoint.

    Args:
        directory: the run directory.

    Returns:
        The validation scores by name, of the epoch that ``best.ckpt`` is of (those of the last validation where none is
        defined), from ``metrics.csv``, and the scores of the first tested checkpoint, from ``result.json``. NaN where a
        score is undefined. Empty unless the run is finished.
    """
    run = RunDirectory(directory)
    if not run.is_finished:
        return {}
    tested: Mapping[str, Any] = next(iter(read_result(directory).metrics.values()), {})
    validations = [row for row in run.history() if row.get(SELECTION)]
    defined = [row for row in validations if not math.isnan(float(row[SELECTION]))]
    best = max(defined, key=lambda row: float(row[SELECTION])) if defined else next(reversed(validations), {})
    scores = {name: float(value) for name, value in best.items() if value} | {
        name: math.nan if value is None else float(value) for name, value in tested.items()
    }
    return {name: value for name, value in scores.items() if name.partition("/")[0] in SPLITS}
