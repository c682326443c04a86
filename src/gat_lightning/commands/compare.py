"""Compare evaluations: ``python -m gat_lightning.compare runs=[RUN,RUN,...] [view=NAME]``."""

import json
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from gat_lightning.errors import UserError
from gat_lightning.evaluation.paired import load_correct
from gat_lightning.evaluation.statistics import Comparison, compare
from gat_lightning.runs.layout import RunDirectory


def run(config: DictConfig) -> Comparison:
    """Print McNemar's test of every pair in the format of the paper's appendix C.1, and write it where asked."""
    runs = [config.runs] if isinstance(config.runs, str) else config.runs or []
    named = {str(name): str(runs[name]) for name in runs} if isinstance(runs, DictConfig) else _by_folder(runs)
    if len(named) < 2 or len(named) < len(runs):
        raise UserError(
            f"runs={list(runs)}: give two or more different evaluations, such as runs=[outputs/A,outputs/B] or"
            " runs={a: outputs/A, b: outputs/B}."
        )
    paired = load_correct(named, config.view)
    found = compare(paired.correct, config.level, paired.groups)
    Console().print(found.text(), highlight=False, markup=False, soft_wrap=True)
    if config.output is not None:
        Path(config.output).write_text(json.dumps({"view": config.view, **found.to_dict()}, indent=2))
    return found


def _by_folder(paths: Sequence[str]) -> dict[str, str]:
    return {_name(Path(path)): str(path) for path in paths}


def _name(path: Path) -> str:
    """The folder's name, after that of the run if the evaluation lies in one."""
    run = RunDirectory.of_evaluation(path.absolute())
    return path.name if run is None else f"{run.path.name}/{path.name}"
