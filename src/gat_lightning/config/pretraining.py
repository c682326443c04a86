"""Pre-training stage, whose weights the training starts from."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gat_lightning.config.build import build_data
from gat_lightning.config.check import check
from gat_lightning.config.length import batches_of_epoch
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import setting_of
from gat_lightning.runs.layout import RunDirectory

log = logging.getLogger(__name__)


def pretraining_stage(config: DictConfig) -> DictConfig | None:
    """Configuration of the stage of ``pretraining``, checked; None where there is none, or it is finished.

    It is this run's own with the overrides of ``pretraining``, in ``RUN/pretraining``; an interrupted one goes on.

    Raises:
        UserError: there is an ``init`` too, or the overrides are no configuration.
    """
    if config.pretraining is None:
        return None
    if config.init is not None:
        raise UserError("Both init and pretraining say what to begin with: leave one of them out.")
    directory = RunDirectory(config.paths.run).pretraining
    if RunDirectory(directory).is_finished:
        return None
    stage = compose_before(list(config.pretraining), directory)
    with _named():
        check(stage)
    return stage


def pretrained(config: DictConfig, stage: DictConfig | None, train: Callable[[DictConfig], Any]) -> str | None:
    """The checkpoint to begin with: ``init``, or the last one of ``pretraining``, which runs first if it has to.

    Args:
        config: of the run.
        stage: of the pre-training, if it is to run.
        train: runs a configuration.

    Raises:
        UserError: the stage is refused, or the unlabelled images that the run is to train on later are.
    """
    if config.pretraining is None:
        return config.init
    directory = RunDirectory(config.paths.run).pretraining
    if stage is not None:
        if config.data.get("unlabeled"):
            batches_of_epoch(build_data(config))  # so that the stage does not run where they are refused
        log.info("First %s, in %s", ", ".join(config.pretraining), directory)
        directory.mkdir(parents=True, exist_ok=True)
        with _named():
            train(stage)
    return str(RunDirectory(directory).last)


def compose_before(overrides: Sequence[str], directory: Path) -> DictConfig:
    """This run's configuration with other overrides, which replace those of the command line.

    Raises:
        UserError: there is no command line, for example in a library call.
    """
    if not HydraConfig.initialized():
        raise UserError("pretraining works in commands only; in a program, train twice and give init=CHECKPOINT.")
    hydra = HydraConfig.get()
    latest = {setting_of(text): text for text in [*hydra.overrides.task, *overrides]}
    resume = "auto" if directory.is_dir() else "null"
    latest |= {key: f"{key}={value}" for key, value in (("pretraining", "null"), ("init", "null"), ("resume", resume))}
    latest["paths.run"] = f"paths.run='{directory.absolute()}'"
    return compose(hydra.job.config_name, list(latest.values()))


@contextmanager
def _named() -> Iterator[None]:
    """Say of a refusal that it is about the stage and not the run."""
    try:
        yield
    except UserError as error:
        raise UserError(f"pretraining: {error}") from error
