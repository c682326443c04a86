"""Compare evaluations: ``python -m gat_lightning.compare runs=[RUN,RUN,...] [view=NAME]``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console

from gat_lightning.command_line import command
from gat_lightning.errors import UserError
from gat_lightning.evaluation.predictions import FILE, Predictions
from gat_lightning.evaluation.statistics import Comparison, compare
from gat_lightning.evaluation.threat import attacks_behind
from gat_lightning.run_directory import RESULT


def run(config: DictConfig) -> Comparison:
    """Print McNemar's test of every pair in the format of the paper's appendix C.1, and write it where asked."""
    runs = config.runs or []
    named = {str(name): str(runs[name]) for name in runs} if isinstance(runs, DictConfig) else _by_folder(runs)
    if len(named) < 2 or len(named) < len(runs):
        raise UserError(
            f"runs={list(runs)}: give two or more different evaluations, such as runs=[outputs/A,outputs/B] or"
            " runs={a: outputs/A, b: outputs/B}."
        )
    found = compare(load_correct(named, config.view), config.level)
    Console().print(found.text(), highlight=False, markup=False, soft_wrap=True)
    if config.output is not None:
        Path(config.output).write_text(json.dumps({"view": config.view, **found.to_dict()}, indent=2))
    return found


def _by_folder(paths: Sequence[str]) -> dict[str, str]:
    return {Path(path).name: str(path) for path in paths}


def load_correct(runs: dict[str, str], view: str) -> dict[str, NDArray[np.bool_]]:
    """Which images each evaluation has right in one view.

    Raises:
        UserError: an evaluation cannot be read, lacks the view, is a regression's, or is about other images or other
            attacks.
    """
    correct: dict[str, NDArray[np.bool_]] = {}
    first: Predictions | None = None
    attacks: dict[str, dict[str, Any]] | None = None
    for name, path in runs.items():
        predictions = Predictions.load(Path(path) / FILE if Path(path).is_dir() else path)
        if view not in predictions.views:
            raise UserError(f"'{path}' has no view '{view}'; it has: {', '.join(predictions.views)}.")
        if predictions.kind == "regression":
            raise UserError(f"'{path}' is about a number, which is not right or wrong: McNemar's test is for classes.")
        found = _attacks(path, view)
        first, attacks = first or predictions, attacks or found
        if found not in (None, attacks):
            raise UserError(
                f"'{path}' has other attacks behind its view '{view}' than the first evaluation: evaluate both with the"
                " same evaluation=, attack.norm and attack.eps, or choose a view that they share with view=NAME."
            )
        same = np.array_equal(first.index, predictions.index) and np.array_equal(first.labels, predictions.labels)
        if not same:
            raise UserError(
                f"'{path}' is about other images than the first evaluation: evaluate both on the same ones."
            )
        correct[name] = predictions.views[view].correct
    return correct


def _attacks(path: str, view: str) -> dict[str, dict[str, Any]] | None:
    """Of an evaluation; None where its ``result.json`` is not there."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    try:
        return attacks_behind(json.loads((folder / RESULT).read_text())["config"], view)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


main = command("compare", run)

if __name__ == "__main__":
    main()
