"""Names of the scores that a training will have."""

from omegaconf import DictConfig

from gat_lightning.config.build import build_attack, build_data, build_tasks, build_test_attacks
from gat_lightning.errors import UserError
from gat_lightning.runs.metric_names import CLEAN, SELECTION, MetricName


def check_optimized_metric(config: DictConfig) -> None:
    """Check that a training will have the score that ``optimized_metric`` names.

    Args:
        config: of the training.

    Raises:
        UserError: it has no such score; the message lists those that it has.
    """
    name = config.optimized_metric
    if name not in (names := score_names(config)):
        raise UserError(f"optimized_metric={name}: the runs have no such score, but {', '.join(names)}.")


def score_names(config: DictConfig) -> list[str]:
    """The scores of a training's best checkpoint: of validation, then of the test.

    Args:
        config: of the training.
    """
    target, *auxiliary = build_tasks(config, build_data(config).info)
    attacks = {"val": [build_attack(config, "validation.attack").name], "test": list(build_test_attacks(config))}
    names = [SELECTION]
    for split, views in attacks.items():
        names += [str(MetricName(split, view, str(each))) for view in (CLEAN, *views) for each in target.metrics()]
        names += [str(MetricName(split, CLEAN, str(each), task.name)) for task in auxiliary for each in task.metrics()]
    return names
