"""Correct images of several evaluations, paired for statistical tests."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gat_lightning.errors import UserError
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.threat import attacks_behind
from gat_lightning.runs.layout import RunDirectory


class Paired(NamedTuple):
    """Evaluations of the same images in one test condition.

    Attributes:
        correct: mask of correct images of each evaluation, bool ``[n]``, by its name.
        groups: patient of each image; None if each stands for itself.
    """

    correct: dict[str, NDArray[np.bool_]]
    groups: NDArray[np.int64] | None


def load_correct(runs: dict[str, str], view: str) -> Paired:
    """Load the mask of correct images of each evaluation in one test condition, and the patients of the images.

    Raises:
        UserError: an evaluation cannot be read, lacks the test condition, is of a regression, or has other
            images or attacks.
    """
    correct: dict[str, NDArray[np.bool_]] = {}
    groups: NDArray[np.int64] | None = None
    first: Predictions | None = None
    attacks: dict[str, dict[str, Any]] | None = None
    for name, path in runs.items():
        predictions = Predictions.load(RunDirectory(path).predictions if Path(path).is_dir() else path)
        if view not in predictions.views:
            raise UserError(f"'{path}' has no test condition '{view}'; it has: {', '.join(predictions.views)}.")
        if predictions.kind == "regression":
            raise UserError(f"'{path}' is about a number, which is not right or wrong: McNemar's test is for classes.")
        found = _attacks(path, view)
        first, attacks = first or predictions, attacks or found
        if found not in (None, attacks):
            raise UserError(
                f"'{path}' has other attacks behind '{view}' than the first evaluation: evaluate both with the same"
                " evaluation=, attack.norm and attack.eps, or choose a test condition that they share with view=NAME."
            )
        same = np.array_equal(first.index, predictions.index) and np.array_equal(first.labels, predictions.labels)
        if not same:
            raise UserError(
                f"'{path}' is about other images than the first evaluation: evaluate both with this version and the"
                " same data, split and images=."
            )
        correct[name] = predictions.views[view].correct
        groups = predictions.groups if groups is None else groups
    return Paired(correct, groups)


def _attacks(path: str, view: str) -> dict[str, dict[str, Any]] | None:
    """Attacks of an evaluation; None without its ``result.json``."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    try:
        return attacks_behind(json.loads(RunDirectory(folder).result.read_text())["config"], view)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
