"""Run directories, named by their settings so that the same command finds them again."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gat_lightning.errors import UserError
from gat_lightning.runs.evaluations import first_evaluation
from gat_lightning.runs.hashing import NOT_PART_OF_THE_RUN, configuration_hash
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.lock import only_run_in
from gat_lightning.runs.signals import was_requeued

OUTPUT = ("output", "paths.output")
"""Spellings of the folder or file that a command writes."""

_MADE_BEFORE_THE_RUN = {".hydra", ".lock", "gat.log"}


def first_name(config: DictConfig) -> str:
    """The run directory of the first run of these settings, seen from ``paths.output``.

    ``<name>-<hash>`` of a training; of an evaluation see :func:`~gat_lightning.runs.evaluations.first_evaluation`.
    """
    if "checkpoint" in config:
        return first_evaluation(config)
    return f"{config.name}-{configuration_hash(config)}"


def run_name(config: DictConfig) -> str:
    """:func:`first_name`, with ``-2``, ``-3``... for a repetition of a finished run, see :func:`stays`."""
    return name_after(config, first_name(config))


def name_after(config: DictConfig, base: str) -> str:
    """:func:`run_name`, where the first name is known.

    A job that SLURM requeued has the name with which it began: the last one that there is a directory of.
    """
    output, name = Path(config.paths.output), base
    for number in count(2):
        following, found = f"{base}-{number}", RunDirectory(output / name)
        again = (output / following).exists() if was_requeued() else not stays(config, found)
        if not (found.is_finished and again):
            break
        name = following
    return name


def stays(config: DictConfig, directory: RunDirectory) -> bool:
    """Whether a run is finished and is to stay as it is.

    ``skip_finished`` says so, or ``resume``, which names it, or SLURM, which requeued the job after its run had ended.
    """
    wanted = bool(config.get("skip_finished")) or _resumes(config, directory) or was_requeued()
    return directory.is_finished and wanted


def why_finished_stays(config: DictConfig) -> str:
    """What is said of a finished run that stays for another reason than ``resume``."""
    if config.skip_finished:
        return "Skipped, since it is finished and skip_finished=true"
    return "Nothing to do for this requeued job: its run is finished"


def _resumes(config: DictConfig, directory: RunDirectory) -> bool:
    """Whether ``resume`` names the run, by its directory or its last checkpoint."""
    resume = config.get("resume")
    named = Path(resume).resolve() if isinstance(resume, str) else None
    return named in (directory.path.resolve(), directory.last.resolve())


def finished_before(config: DictConfig) -> Path | None:
    """The first run of the same settings where it is finished, so that this run has a directory of another number."""
    first = Path(config.paths.output) / first_name(config)
    repeats = Path(config.paths.run).name.startswith(f"{first.name}-")
    return first if repeats and RunDirectory(first).is_finished else None


def skipped(config: DictConfig) -> Path | None:
    """The directory of a finished run with these settings that stays as it is; None without one."""
    directory = Path(config.paths.output) / run_name(config)
    return directory if RunDirectory(directory).is_finished else None


def record_directory(config: DictConfig) -> str | None:
    """Where in the run directory Hydra writes what was typed; nowhere in one that is left as it is."""
    return None if skipped(config) else ".hydra"


def discard_unused(directory: Path) -> None:
    """Remove a run directory in which nothing has been done, such as one of a command that was refused.

    One that another run is at work in is not, nor one that the command was called in: some commands have no directory
    of their own.
    """
    if not directory.is_dir() or Path.cwd().is_relative_to(directory.resolve()):
        return
    with suppress(UserError, FileNotFoundError), only_run_in(directory):
        found = {path.name for path in directory.iterdir()}
        log = RunDirectory(directory).log
        if found <= _MADE_BEFORE_THE_RUN and not (log.exists() and log.read_text()):
            shutil.rmtree(directory)
            run = RunDirectory.of_evaluation(directory)
            if run is not None and not any(run.evaluations.iterdir()):
                run.evaluations.rmdir()


def auto_name(data: str, tasks: Iterable[str]) -> str:
    """Name of a run that was not given one, such as ``cifar10-macro+rotation``, from the data's class and the tasks."""
    return f"{data.rsplit('.', 1)[-1].lower()}-{'+'.join(tasks) or 'none'}"


def typed_overrides() -> list[str]:
    """Those of this run, a sweep's too; none in a program that calls the library."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def is_of_the_run(setting: str) -> bool:
    """Whether a setting is part of what is trained, and not of where and how its record is kept."""
    return setting.partition(".")[0].partition("/")[0] not in (*NOT_PART_OF_THE_RUN, "paths")


def setting_of(override: str) -> str:
    """The setting that an override changes, adds or takes away: ``optimizer.lr`` of ``++optimizer.lr=0.1``."""
    return override.partition("=")[0].lstrip("+~")
