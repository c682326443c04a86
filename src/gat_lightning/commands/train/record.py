"""The record of a training: ``result.json``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from omegaconf import DictConfig

from gat_lightning.commands.train.assembly import Assembly
from gat_lightning.commands.train.summary import summary
from gat_lightning.config.engine import ResolvedEngine
from gat_lightning.config.files import plain
from gat_lightning.loggers import close
from gat_lightning.models.eager_fallback import compiling_failed
from gat_lightning.runs.environment import environment
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import TrainingResult, read_result, write_result


@contextmanager
def recorded(
    config: DictConfig, assembly: Assembly, started: datetime, clock: float, warned: list[str]
) -> Iterator[TrainingResult]:
    """Record how the block ends; write ``result.json`` and close the loggers in any case.

    Args:
        config: of the run.
        assembly: the objects of the training.
        started: when the run began, in UTC.
        clock: ``time.perf_counter()`` then, for durations, which the machine's date does not change.
        warned: the warnings of the run, to which are added more while it runs.

    Yields:
        The record, to which the block adds what it measures and writes.

    Raises:
        UserError: the record cannot be written.
    """
    trainer, progress, directory = assembly.trainer, assembly.progress, RunDirectory(config.paths.run)
    result = TrainingResult(
        config=plain(config),
        seed=config.seed,
        started=started.isoformat(timespec="seconds"),
        files={"metrics": directory.relative(directory.metrics)},
        resumed=None if progress is None else str(progress.checkpoint),
        introduction=assembly.introduction,
        warnings=warned,
        **environment(trainer.strategy.root_device, trainer.world_size),
    )
    if progress is not None:
        warned[:0] = [message for message in _warned_before(directory) if message not in warned]
    try:
        yield result
        result.status = "finished"
    except (KeyboardInterrupt, SystemExit):  # which Lightning makes of Ctrl-C, and we of a signal to stop
        result.status = "interrupted"
        raise
    except Exception as error:
        result.error = str(error)
        raise
    finally:
        _complete(result, assembly, clock)
        try:
            if trainer.is_global_zero:
                write_result(directory.path, result)
        finally:
            close(trainer.loggers, result.status, result.metrics)


def _warned_before(directory: RunDirectory) -> list[str]:
    """What the run warned of before it was interrupted, if it could record that."""
    try:
        before = read_result(directory.path)
    except (OSError, ValueError):
        return []
    return before.warnings if isinstance(before, TrainingResult) else []


def _complete(result: TrainingResult, assembly: Assembly, clock: float) -> None:
    result.durations["total"] = time.perf_counter() - clock
    result.engine = _as_run(assembly).plain()
    result.unlabeled = {**assembly.unlabeled.plain(), **assembly.module.pseudo_labels.summary}
    result.epochs, result.skipped_batches = assembly.trainer.current_epoch, assembly.module.skipped
    if assembly.trainer.is_global_zero:
        result.summary = summary(result, RunDirectory(result.config["paths"]["run"]).history())


def _as_run(assembly: Assembly) -> ResolvedEngine:
    """How the passes were computed in the end."""
    engine = assembly.engine
    if not compiling_failed(assembly.module.model.encoder):
        return engine
    return replace(engine, compiled=False, reasons={**engine.reasons, "compiled": "compiling failed"})


def record_failure(config: DictConfig, assembly: Assembly, result: TrainingResult, clock: float, message: str) -> None:
    """Write ``result.json`` of a training that is ended where it waits, by another thread; loggers stay as they are."""
    result.error = message
    _complete(result, assembly, clock)
    write_result(RunDirectory(config.paths.run).path, result)
