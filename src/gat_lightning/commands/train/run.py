"""Train a model: assemble its objects, fit and test it, and record what was done."""

import time
from datetime import datetime, timezone
from functools import partial

from omegaconf import DictConfig

from gat_lightning.commands.train.assembly import Assembly, assemble
from gat_lightning.commands.train.ended_together import ended_together
from gat_lightning.commands.train.ending import ending
from gat_lightning.commands.train.faults import explained_faults
from gat_lightning.commands.train.record import record_failure, recorded
from gat_lightning.commands.train.selection import warn_of_selection
from gat_lightning.commands.train.start import check_start
from gat_lightning.commands.train.teacher import may_have_stage, share_teacher, taught
from gat_lightning.commands.train.testing import refuse_non_finite, test, warn_of_doubts, write_images
from gat_lightning.commands.train.warned import collected_warnings
from gat_lightning.config.paper import prepare_paper
from gat_lightning.config.pretraining import pretrained, pretraining_stage
from gat_lightning.loggers import start
from gat_lightning.runs.directory import stays, why_finished_stays
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.lock import only_run_in
from gat_lightning.runs.result import Result, read_result
from gat_lightning.runs.signals import stopping_at_once
from gat_lightning.runs.slurm import requeued_if_preempted
from gat_lightning.runs.telling import shown, tell
from gat_lightning.training.launcher import own_ranks

_NOTHING_LEFT = (
    "Nothing to resume: this run is finished, and its result stays. Raise trainer.max_epochs to train on, or leave out"
    " resume= for another run of the same settings"
)


def run(config: DictConfig) -> Result:
    """Train, test the best and the last checkpoint, and write ``result.json`` into ``config.paths.run``.

    Returns:
        The content of ``result.json``, of a finished run that stays as it is too.

    Raises:
        UserError: the configuration, the data, the checkpoint to start from or the machine does not allow it, or the
            trained model answers NaN; the message says what to do.
        NonFiniteError: an objective or a gradient is NaN or infinite.
    """
    with own_ranks():
        return _run(config)


def _run(config: DictConfig) -> Result:
    """:func:`run`, whose ranks may go on with another training."""
    prepare_paper(config)
    directory = RunDirectory(config.paths.run)
    if stays(config, directory):
        print(f"{_why_it_stays(config)}: {directory.path}", flush=True)
        return read_result(directory.path)
    with requeued_if_preempted(), only_run_in(directory.path), stopping_at_once():
        return _train(config)


def _stages(config: DictConfig) -> str | None:
    """Run the stages before the training, and return the checkpoint that it begins with, if there is one."""
    pretraining = pretraining_stage(config)
    if pretraining is not None or may_have_stage(config):
        check_start(config)
    teacher = taught(config, _run)
    if pretraining is not None and teacher is not None:
        share_teacher(pretraining, config, teacher)
    return pretrained(config, pretraining, _run)


def _why_it_stays(config: DictConfig) -> str:
    resumed = config.resume is not None and not config.skip_finished
    return _NOTHING_LEFT if resumed else why_finished_stays(config)


def _train(config: DictConfig) -> Result:
    started, clock = datetime.now(timezone.utc), time.perf_counter()
    init = _stages(config)
    with collected_warnings(RunDirectory(config.paths.run)) as warned:
        return _fit_and_test(config, assemble(config, init), started, clock, warned)


def _fit_and_test(config: DictConfig, assembly: Assembly, started: datetime, clock: float, warned: list[str]) -> Result:
    directory = RunDirectory(config.paths.run)
    data, module, trainer, progress = assembly.data, assembly.module, assembly.trainer, assembly.progress
    with (
        recorded(config, assembly, started, clock, warned) as result,
        ended_together(trainer, partial(record_failure, config, assembly, result, clock)),
        explained_faults(config, trainer),
    ):
        start(trainer.loggers, config, None if progress is None else progress.step)
        resumed = None if progress is None else progress.checkpoint
        trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
        result.durations["train"] = time.perf_counter() - clock
        if trainer.is_global_zero:
            warn_of_selection(module, data, directory)
        tested = test(trainer, module, data, directory)
        result.metrics, result.checks, result.images = tested.metrics, tested.view_checks(), tested.labelled
        result.intervals = tested.intervals
        if trainer.is_global_zero:
            warn_of_doubts(tested, trainer, module, data)
        result.files["checkpoints"] = {name: directory.relative(directory.checkpoint(name)) for name in result.metrics}
        picture = directory.images / "adversarial.png"
        drawn = trainer.is_global_zero and write_images(module, data, picture)
        pictures = [*([picture] if drawn else []), *([directory.curves] if directory.curves.is_file() else [])]
        result.files["images"] = [directory.relative(each) for each in pictures]
        if profiles := sorted(map(directory.relative, directory.path.glob("*-profile*.txt"))):
            result.files["profiles"] = profiles
        refuse_non_finite(tested)
    if result.metrics and trainer.is_global_zero:
        tell(directory, ending(tested, module.tasks[0].kind, directory, result.warnings))
        for name in result.files.get("profiles", ()):
            tell(directory, f"Profile: {shown(directory.path / name)}")
    return result
