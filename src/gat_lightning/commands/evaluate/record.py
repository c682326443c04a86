"""The record of an evaluation: ``result.json``."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gat_lightning.commands.evaluate.doubts import doubts
from gat_lightning.commands.evaluate.subject import Subject
from gat_lightning.evaluation.predictions import Predictions, Scores
from gat_lightning.runs.result import EvaluationResult, write_result
from gat_lightning.runs.signals import Stopped

log = logging.getLogger(__name__)


@contextmanager
def recorded(result: EvaluationResult, directory: Path, clock: float) -> Iterator[None]:
    """Record how the block ends, and write ``result.json`` in any case.

    Args:
        result: to which the block adds what it measures.
        directory: of the run.
        clock: ``time.perf_counter()`` when the run began.

    Raises:
        Stopped: a signal to stop; what is done so far is kept, for the same command to go on with.
    """
    try:
        yield
        result.status = "finished"
    except (KeyboardInterrupt, Stopped) as stop:
        result.status = "interrupted"
        log.warning("Interrupted; the same command goes on where this one stopped.")
        raise (stop if isinstance(stop, Stopped) else Stopped(signal.SIGINT)) from None
    except Exception as error:
        result.error = str(error)
        raise
    finally:
        result.durations["total"] = time.perf_counter() - clock
        write_result(directory, result)


def record_scores(result: EvaluationResult, subject: Subject, predictions: Predictions, scores: Scores) -> None:
    """Record the scores, and a note about each that is doubtful."""
    label = subject.tasks[0].name
    classes = subject.data.info.labels[label].classes
    checks = predictions.checks(len(classes))
    split = subject.data.split(next(iter(scores.metrics)).split)
    result.metrics = {subject.name: {str(name): value for name, value in scores.metrics.items()}}
    result.intervals = {subject.name: {str(name): ends for name, ends in scores.intervals.items()}}
    result.images = len(predictions.index)
    result.checks = {subject.name: {view: check.record() for view, check in checks.items()}}
    result.notes += doubts(checks, scores.metrics, classes, split.labels[label])
