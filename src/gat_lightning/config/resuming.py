"""Where a training starts: from an interrupted run's checkpoint, or from another model's weights."""

import logging
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig
from torch import nn

from gat_lightning.config.checkpoint import load_checkpoint, model_state
from gat_lightning.config.engine import ResolvedEngine
from gat_lightning.config.files import plain
from gat_lightning.errors import UserError
from gat_lightning.models import MultiTaskModel
from gat_lightning.nearest import nearest
from gat_lightning.runs.checkpoint_io import PREVIOUS
from gat_lightning.runs.directory import finished_before
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import EvaluationResult, read_result
from gat_lightning.runs.settings_history import first_values
from gat_lightning.runs.signals import was_requeued

log = logging.getLogger(__name__)

_SAME_PARTS = tuple(f"{part}._target_" for part in ("method", "weighting", "optimizer", "schedule"))
# Settings of a run that goes on from a checkpoint: always, and where the schedule counts on a number of steps.
_SAME_LENGTH = ("trainer.max_epochs", "trainer.max_steps", "data.batch_size", "data.fraction")


def check_fits(model: nn.Module, config: DictConfig, path: str | Path) -> None:
    """Check that a run can resume from a checkpoint.

    Args:
        model: the run's.
        config: of the run.
        path: the checkpoint.

    Raises:
        UserError: the checkpoint cannot be read, or belongs to another model or another kind of training.
    """
    content = load_checkpoint(path)
    states = (model_state(content), model.state_dict())
    for name in sorted(set().union(*states)):
        shapes = [list(state[name].shape) if name in state else None for state in states]
        if shapes[0] != shapes[1]:
            there, here = ("no such weight" if shape is None else f"shape {shape}" for shape in shapes)
            raise UserError(
                f"'{path}' is of another model: '{name}' has {there} there and {here} here. Go on with the settings of"
                f" that run, or begin a new one with its encoder: init={path}"
            )
    settings = (content["gat_lightning"]["config"], plain(config))
    theirs, ours = (first_values(each, (*_SAME_PARTS, *_SAME_LENGTH)) for each in settings)
    for name in _SAME_PARTS:
        if theirs[name] != ours[name]:
            raise UserError(
                f"'{path}' was trained with another {name.removesuffix('._target_')} ({theirs[name]}): go on with the"
                f" settings of that run, or begin a new one with its weights: init={path}"
            )
    if not any("total_steps" in state for state in content.get("lr_schedulers", ())):
        return
    for name in _SAME_LENGTH:
        if theirs[name] != ours[name]:
            raise UserError(
                f"'{path}' was trained with {name}={theirs[name]}, on which its schedule's length depends, not"
                f" {ours[name]}: go on with {name}={theirs[name]}, or begin a new run with its weights: init={path}"
            )


def initialise(model: MultiTaskModel, path: str | Path) -> list[str]:
    """Load a checkpoint's encoder, and its decoders of tasks that the model has too, in the same shapes.

    Returns:
        Names of the tasks whose decoders were loaded.

    Raises:
        UserError: the checkpoint cannot be read, or its encoder has other weights or shapes.
    """
    theirs = model_state(load_checkpoint(path))
    ours = model.state_dict()
    for name, value in ours.items():
        if name.startswith("encoder.") and (name not in theirs or theirs[name].shape != value.shape):
            found = f"has shape {list(theirs[name].shape)}" if name in theirs else "is missing"
            raise UserError(
                f"The encoder of '{path}' is not this run's: '{name}' {found} there, and has shape"
                f" {list(value.shape)} here. Choose encoder and data as that run had them."
            )
    fitting = [
        task
        for task, decoder in model.decoders.items()
        if all(
            theirs.get(key, torch.empty(0)).shape == value.shape
            for key, value in decoder.state_dict(prefix=f"decoders.{task}.").items()
        )
    ]
    taken = ("encoder.", *(f"decoders.{task}." for task in fitting))
    model.load_state_dict(ours | {name: value for name, value in theirs.items() if name.startswith(taken)})
    return fitting


def wanted_resume(config: DictConfig) -> str | None:
    """The value of ``resume``; ``auto`` if it is null under ``skip_finished``, and in a job that SLURM requeued."""
    by_itself = was_requeued() or (config.skip_finished and config.resume is None)
    return "auto" if by_itself else config.resume


def find_resumable(resume: str | None, run: Path) -> Path | None:
    """The checkpoint to resume from; None where the run starts anew.

    Args:
        resume: a checkpoint, a run directory, ``auto`` for this run's own checkpoint if there is one, or None.
        run: this run's directory.

    Raises:
        UserError: there is no checkpoint at the path, it cannot be read, or the path is that of an evaluation.
    """
    if resume is None:
        return None
    own = RunDirectory(run).last
    if resume == "auto":
        path = own
        if not own.is_file() and not own.with_name(own.name + PREVIOUS).is_file():
            return None
    else:
        path = Path(resume)
        if not path.exists() and nearest(resume, ["auto"]):
            raise UserError(f"resume={resume}: there is no such checkpoint; did you mean auto?")
        if _is_evaluation(path):
            raise UserError(
                f"resume={resume} is an evaluation, from which no training can go on. An interrupted evaluation goes on"
                " when its own command is given again."
            )
        path = RunDirectory(path).last if path.is_dir() else path
    return whole_checkpoint(path)


def _is_evaluation(directory: Path) -> bool:
    try:
        return isinstance(read_result(directory), EvaluationResult)
    except (OSError, ValueError):
        return False


def whole_checkpoint(path: Path) -> Path:
    """The checkpoint itself, or the previous one of that name where it cannot be read.

    Raises:
        UserError: neither can be read; the message is about the checkpoint itself.
    """
    before = path.with_name(path.name + PREVIOUS)
    try:
        load_checkpoint(path)
    except UserError as error:
        if not _is_good(before):
            raise
        log.warning("%s Going on from the one before it, '%s'.", error, before)
        return before
    return path


def last_good(path: Path) -> Path | None:
    """The checkpoint itself or the previous one of that name, whichever first is whole and has finite weights."""
    return next((each for each in (path, path.with_name(path.name + PREVIOUS)) if _is_good(each)), None)


def _is_good(path: Path) -> bool:
    try:
        state = model_state(load_checkpoint(path))
    except UserError:
        return False
    return all(bool(value.isfinite().all()) for value in state.values())


class Progress(NamedTuple):
    """Progress of a training at a checkpoint.

    Attributes:
        checkpoint: the file.
        step: number of steps taken.
        epoch: the current epoch, counted from 1.
        done: number of whole epochs.
        threads: torch's on a CPU; None in checkpoints of earlier versions.
    """

    checkpoint: Path
    step: int
    epoch: int
    done: int
    threads: int | None


def progress_of(checkpoint: Path) -> Progress:
    """Read the progress from a checkpoint.

    Raises:
        UserError: the checkpoint cannot be read, or holds nothing but weights.
    """
    content = load_checkpoint(checkpoint)
    if "loops" not in content:
        raise UserError(
            f"'{checkpoint}' holds weights without the state of their training, so none can go on from it: resume from"
            f" RUN/checkpoints/last.ckpt, or begin a new run with its weights: init={checkpoint}"
        )
    done = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    return Progress(checkpoint, content["global_step"], content["epoch"] + 1, done, content.get("threads"))


def engine_before(checkpoint: Path) -> ResolvedEngine | None:
    """How the run of a checkpoint was computed; None in checkpoints of earlier versions.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    kept = load_checkpoint(checkpoint)["gat_lightning"].get("engine")
    return None if kept is None else ResolvedEngine.from_plain(kept)


def check_unfinished(config: DictConfig, progress: Progress) -> None:
    """Check that a run has epochs and steps left, or is itself the one that was interrupted after the last of them.

    Raises:
        UserError: there is nothing left to train, and the test is not this run's own.
    """
    run = RunDirectory(config.paths.run)
    if progress.checkpoint.parent.resolve() == run.checkpoints.resolve() and not run.is_finished:
        return
    for what, done in (("epochs", progress.done), ("steps", progress.step)):
        limit = config.trainer.get(f"max_{what}")
        if limit is not None and 0 < limit <= done:
            raise UserError(
                f"'{progress.checkpoint}' has nothing left to train: it was saved after {done} {what}, and"
                f" trainer.max_{what}={limit}. Raise that to train on; to score it, run python -m"
                f" gat_lightning.evaluate checkpoint={progress.checkpoint}"
            )


@rank_zero_only
def set_aside(run: RunDirectory) -> None:
    """Move the checkpoints of an interrupted run that begins anew to a folder beside theirs, and log a warning."""
    if not run.last.is_file():
        return
    stopped = datetime.fromtimestamp(run.last.stat().st_mtime)
    kept = run.checkpoints.with_name(f"{run.checkpoints.name}-{stopped:%Y%m%d-%H%M%S}")
    run.checkpoints.rename(kept)
    log.warning(
        "A run of these settings was interrupted here. This one begins anew; to go on with that one instead, stop and"
        " use resume=%s. resume=auto and skip_finished=true would have done so.",
        kept / run.last.name,
    )


def warn_of_threads(progress: Progress, device: torch.device) -> None:
    """Log a warning if a run on a CPU resumes with another number of threads, so that its numbers differ."""
    before, now = progress.threads, torch.get_num_threads()
    if device.type == "cpu" and before not in (None, now):
        log.warning(
            "The number of threads was %d when %s was saved, and is %d now: gradients are rounded otherwise, and the"
            " numbers will not be those of an undisturbed run. Set OMP_NUM_THREADS=%d for equal numbers.",
            *(before, progress.checkpoint, now, before),
        )


@rank_zero_only
def announce(config: DictConfig, progress: Progress | None) -> None:
    """Log which checkpoint the run resumes from, or why there is none although ``resume=auto`` asks for one.

    Args:
        config: of the run.
        progress: of the checkpoint; None where the run starts anew.
    """
    if progress is not None:
        epochs = config.trainer.max_epochs
        whole = f" of {epochs}" if epochs is not None and epochs > 0 else ""
        place = (progress.checkpoint, progress.step, progress.epoch)
        log.info("Resumed from %s, saved after %d steps, in epoch %d%s.", *place, whole)
    elif config.resume == "auto":
        directory, finished = config.paths.run, finished_before(config)
        if finished is None:
            log.info("Nothing to resume for these settings: %s has no checkpoint. Starting anew.", directory)
        else:
            log.info(
                "Nothing to resume: the run of these settings is finished (%s). Starting anew in %s; skip_finished=true"
                " leaves finished runs out.",
                finished,
                directory,
            )
