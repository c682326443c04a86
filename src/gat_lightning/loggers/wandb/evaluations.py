"""Evaluations in the W&B run of the training."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gat_lightning.errors import UserError
from gat_lightning.loggers.wandb.session import EXIT_CODES, announce_offline, define_scores, is_of_a_sweep, open_run
from gat_lightning.loggers.wandb.summary import directions, keep_evaluation, summary_of
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.lock import only_run_in
from gat_lightning.runs.result import read_result

log = logging.getLogger(__name__)

_SECONDS_TO_WAIT = 20.0


@contextmanager
def claimed(training: RunDirectory | None) -> Iterator[RunDirectory | None]:
    """The training if it ended, has a W&B run, and nobody else writes to it during the block; otherwise None.

    None under a W&B agent too, which has a run of its own for the evaluation.
    """
    with ExitStack() as stack:
        if training is None or is_of_a_sweep() or not (training.wandb_id.is_file() and _has_ended(training)):
            yield None
        else:
            yield training if _claim(training.path, stack) else None


def log_to_training(
    training: RunDirectory, figures: Mapping[str, float], directory: Path, place: Mapping[str, str | None]
) -> None:
    """Add the figures of an evaluation to the summary of a training's W&B run; its settings and state stay.

    Args:
        training: the run directory of the training.
        figures: by name.
        directory: run directory of the evaluation, which keeps the files of W&B.
        place: project and entity, where the training's settings have none.
    """
    result = read_result(training.path)
    labels = (result.config.get("logger") or {}).get("wandb") or {}
    where: dict[str, Any] = {name: labels.get(name) or own for name, own in place.items()}
    run = open_run(directory, offline_if_refused=True, id=training.wandb_id.read_text().strip(), **where)
    if run.disabled:
        return
    announce_offline(run, directory)
    keep_evaluation(training, figures)
    summary = summary_of(training, result)
    define_scores(run, directions(summary))
    run.summary.update(summary)
    if result.status == "interrupted":
        run.mark_preempting()
    run.finish(exit_code=EXIT_CODES[result.status])


def _has_ended(training: RunDirectory) -> bool:
    try:
        read_result(training.path)
    except (OSError, ValueError):
        return False
    return True


def _claim(directory: Path, stack: ExitStack) -> bool:
    """Whether the directory is ours until the stack ends; waits a while for an evaluation that is logged just now."""
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        try:
            stack.enter_context(only_run_in(directory))
        except UserError as error:
            if time.monotonic() > deadline:
                log.warning("This evaluation gets a W&B run of its own. %s", error)
                return False
            time.sleep(0.5)
        else:
            return True
