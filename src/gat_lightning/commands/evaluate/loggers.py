"""Evaluations in Weights & Biases, on request."""

import math
from collections.abc import Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.evaluation import evaluation_label
from gat_lightning.errors import UserError
from gat_lightning.loggers import RunLogger, public_config
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import EvaluationResult


def build_loggers(config: DictConfig) -> list[RunLogger]:
    """The loggers of an evaluation.

    Raises:
        UserError: one of them is for trainings only, or a package is missing.
    """
    found = {str(name): instantiate(node) for name, node in (config.get("logger") or {}).items()}
    for name, logger in found.items():
        if not logger.logs_evaluations:
            raise UserError(f"logger={name} is for trainings: an evaluation has logger=wandb, or none.")
    return list(found.values())


def log_evaluation(loggers: Sequence[RunLogger], config: DictConfig, result: EvaluationResult) -> None:
    """Log the scores of an evaluation."""
    training = None if config.checkpoint is None else RunDirectory.of_checkpoint(Path(config.checkpoint).resolve())
    name = "model" if training is None else Path(config.checkpoint).stem  # another file's name may be private
    settings = public_config(OmegaConf.create(result.config))
    for logger in loggers:
        logger.log_evaluation(settings, figures(evaluation_label(config), name, result), training)


def figures(label: str, checkpoint: str, result: EvaluationResult) -> dict[str, float]:
    """The scores and the ends of their intervals as ``evaluate/LABEL/CHECKPOINT/SPLIT/VIEW/METRIC[/low|/high]``.

    Scores that are undefined are left out. Each stage of AutoAttack adds ``VIEW/after_ATTACK/accuracy``, ``left`` and
    ``seconds``, and each attack ``VIEW/seconds``.

    Args:
        label: that of the evaluation.
        checkpoint: ``best``, ``last``... or ``model``.
        result: the scores of one checkpoint.
    """
    prefix = f"evaluate/{label}/{checkpoint}"
    (metrics,), (intervals,) = result.metrics.values(), (result.intervals or {"": {}}).values()
    ends = {
        f"{name}/{end}": value
        for name, pair in intervals.items()
        for end, value in zip(("low", "high"), pair, strict=True)
    }
    found = {name: value for name, value in {**metrics, **ends}.items() if math.isfinite(value)}
    return {f"{prefix}/{name}": value for name, value in {**found, **_of_attacks(result)}.items()}


def _of_attacks(result: EvaluationResult) -> dict[str, float]:
    split = result.config["split"]
    times = {f"{split}/{view}/seconds": value for views in result.seconds.values() for view, value in views.items()}
    stages = {
        f"{split}/{view}/after_{stage['attack']}/{name}": stage[name]
        for views in result.stages.values()
        for view, found in views.items()
        for stage in found
        for name in ("accuracy", "left", "seconds")
    }
    return {**times, **stages}
