"""Train a model: ``python -m gat_lightning.train [GROUP=OPTION ...] [KEY=VALUE ...]``."""

from pathlib import Path

from omegaconf import DictConfig

from gat_lightning.config.command_line import command
from gat_lightning.runs.scores import best_scores


def _run(config: DictConfig) -> float | None:
    """Train, and return the score that ``optimized_metric`` names, None where the run has none of that name.

    A dry run returns the seconds that it estimates.
    """
    if config.dry_run:
        from gat_lightning.commands.dry_run.estimate import estimate

        return sum(cost.seconds for cost in estimate(config))
    from gat_lightning.commands.train.run import run  # imports Lightning, which help and refusals need not

    run(config)
    return best_scores(Path(config.paths.run)).get(config.optimized_metric)


main = command("train", _run)

if __name__ == "__main__":
    main()
