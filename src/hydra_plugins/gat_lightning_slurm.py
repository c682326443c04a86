"""Hydra plugin that runs the points of a sweep as SLURM jobs, one process per rank, through submitit."""

import json
import logging
import math
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from itertools import takewhile
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from gat_lightning.config.points import PointLauncher, Points
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.errors import UserError
from gat_lightning.runs.signals import Stopped
from gat_lightning.runs.slurm import cancel, exit_reason, name_job, queued_jobs, time_limit
from gat_lightning.runs.sweeps import Sweep

log = logging.getLogger(__name__)

# Settings that submitit has for every kind of cluster; the others are SLURM's.
_OF_SUBMITIT = ("timeout_min", "nodes", "tasks_per_node", "gpus_per_node", "cpus_per_task")
_NOT_ADDITIONAL = {"job-name": "name", "job_name": "name", "time": "timeout_min", "partition": "partition"}
_SECONDS_TO_CLOSE = 30.0
_LONGEST = 10 * 365 * 24 * 60


class SlurmLauncher(PointLauncher):
    """Submits jobs that need the same resources as one array, and waits for all of them.

    SLURM requeues a job that it pre-empts, and submitit one whose time is over; it goes on from its last checkpoint. A
    job has its point's configuration with it, so that files that change after the submission do not matter.

    Args:
        settings: those of ``conf/hydra/launcher/slurm.yaml``; each job has them with the ``trainer`` of its own point.
    """

    def __init__(self, **settings: Any) -> None:
        self._context: HydraContext
        self._task: TaskFunction
        self._waits = bool(settings["wait"])

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember what a job runs."""
        self._context, self._task = hydra_context, task_function

    def launch_points(self, points: Sequence[Sequence[str]], composed: Points, record: Sweep) -> Sequence[JobReturn]:
        """Submit, and wait unless ``wait=false``.

        Raises:
            UserError: submitit or SLURM is not there, or SLURM does not take the jobs.
        """
        arrays: dict[str, list[int]] = {}
        names = []
        for place, overrides in enumerate(points):
            settings: Any = OmegaConf.to_container(composed(overrides).hydra.launcher, resolve=True)
            names.append(str(settings.pop("name")))
            arrays.setdefault(json.dumps(settings), []).append(place)
        executors = {
            text: _executor(json.loads(text), _common_name([names[place] for place in places]))
            for text, places in arrays.items()
        }
        common = set(points[0]).intersection(*points) if len(points) > 1 else set()
        jobs: dict[int, Any] = {}
        for text, places in arrays.items():
            titles = [" ".join(word for word in points[place] if word not in common) for place in places]
            tasks = [
                _Job(self._context, self._task, composed(points[place]), place, title)
                for place, title in zip(places, titles, strict=True)
            ]
            try:
                with executors[text].batch():
                    submitted = [executors[text].submit(task) for task in tasks]
            except RuntimeError as error:
                raise _refused(error, _numbers(jobs.values())) from error
            jobs |= dict(zip(places, submitted, strict=True))
        record.submitted({record.points[place].directory: job.job_id for place, job in jobs.items()})
        numbers = _numbers(jobs.values())
        log.info(
            "SLURM: %d jobs submitted, as %s; python -m gat_lightning.runs lists them", len(jobs), ", ".join(numbers)
        )
        if not self._waits:
            return [JobReturn(overrides=each, status=JobStatus.COMPLETED) for each in points]
        try:
            _wait(list(jobs.values()))
        except KeyboardInterrupt:
            log.warning("The jobs go on; to end them: scancel %s", " ".join(numbers))
            raise
        return [_returned(jobs[place], overrides) for place, overrides in enumerate(points)]


class _Job:
    """One point, as submitit runs it in each process of a job.

    Args:
        context: of Hydra.
        task: what runs the configuration.
        config: of the point.
        number: of the point in its sweep.
        title: what tells the point from the others, for the job's name.
    """

    def __init__(self, context: HydraContext, task: TaskFunction, config: DictConfig, number: int, title: str) -> None:
        self._context, self._task, self._config = context, task, config
        self._number, self._title = number, title

    def __call__(self) -> JobReturn:
        """Run the point."""
        import submitit

        setup_globals()
        register_resolvers()
        environment = submitit.JobEnvironment()
        config = deepcopy(self._config)  # Hydra locks what it runs, and a requeued job runs it again
        with open_dict(config.hydra):
            config.hydra.job.id, config.hydra.job.num = environment.job_id, self._number
            if environment.global_rank > 0:
                config.hydra.output_subdir = None
            elif self._title:
                name_job(environment.job_id, f"{config.hydra.launcher.name} {self._title}")
        try:
            returned = run_job(
                hydra_context=self._context,
                task_function=self._task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
            _ = returned.return_value  # an error ends the process, so that srun ends the other ranks
        except Stopped as stop:
            _let_first_rank_close(environment.global_rank)
            signal.raise_signal(stop.number)  # submitit has the job requeued if its time is over
            raise
        except Exception:
            _let_first_rank_close(environment.global_rank)
            raise
        return returned

    def checkpoint(self) -> Any:
        """What submitit runs after a requeue: the same, which goes on from its last checkpoint."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)

    def __getstate__(self) -> dict[str, Any]:
        """With Hydra's singletons, which a job needs."""
        return self.__dict__ | {"_singletons": Singleton.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a job."""
        Singleton.set_state(state.pop("_singletons"))
        self.__dict__.update(state)


def _common_name(names: Sequence[str]) -> str:
    """How the names of an array's jobs begin; each has its own once it runs."""
    columns = zip(*(name.split("-") for name in names), strict=False)
    return "-".join(words[0] for words in takewhile(lambda words: len(set(words)) == 1, columns)) or "gat"


def _executor(settings: dict[str, Any], name: str) -> Any:
    """Submits jobs of this name with these settings."""
    try:
        import submitit
    except ImportError:
        raise UserError("hydra/launcher=slurm needs submitit: pip install 'gat-lightning[slurm]'") from None
    if shutil.which("sbatch") is None:
        raise UserError(
            "There is no SLURM here (no sbatch): start the sweep where there is, or leave out hydra/launcher."
        )
    for key in ("_target_", "wait"):
        settings.pop(key, None)
    folder, timeouts = settings.pop("folder"), settings.pop("max_num_timeout")
    additional = {"requeue": True, **(settings.pop("additional_parameters") or {})}
    for option, setting in _NOT_ADDITIONAL.items():
        if option in additional:
            raise UserError(f"hydra.launcher.additional_parameters: set {option} by hydra.launcher.{setting}.")
    minutes = time_limit(settings["timeout_min"], settings["partition"])
    if math.isinf(minutes):
        additional["time"] = 0  # no limit, in sbatch's words
    settings["timeout_min"] = math.ceil(min(minutes, _LONGEST))
    executor = submitit.AutoExecutor(folder=folder, cluster="slurm", slurm_max_num_timeout=timeouts)
    cores = f"--cpus-per-task={settings['cpus_per_task']}"  # which srun does not take from sbatch
    named = {key if key in _OF_SUBMITIT else f"slurm_{key}": value for key, value in settings.items()}
    given = {key: value for key, value in named.items() if value is not None}
    given["slurm_additional_parameters"] = additional
    executor.update_parameters(name=name, slurm_srun_args=["--kill-on-bad-exit=1", cores], **given)
    return executor


def _refused(error: RuntimeError, submitted: Sequence[str]) -> UserError:
    """The message where SLURM does not take an array; those that it took before are ended."""
    also = ""
    if submitted:
        ended = cancel(submitted)
        also = (
            f" Jobs {', '.join(submitted)} of this sweep, submitted before, {'were cancelled' if ended else 'go on'}."
        )
    return UserError(f"SLURM does not take the jobs: {' '.join(str(error).split())}{also}")


def _numbers(jobs: Any) -> list[str]:
    """Numbers of jobs, an array's once."""
    return list(dict.fromkeys(job.job_id.partition("_")[0] for job in jobs))


def _wait(jobs: list[Any], look: float = 15.0) -> None:
    """Until every job has written what its tasks return, or SLURM does not know it any more.

    An error counts only once SLURM does not know the job: it may be requeued, and then run well.

    Args:
        jobs: of submitit.
        look: seconds between two looks at the queue; a job that is missing twice is over.
    """
    missing: set[str] = set()
    looked, said = time.monotonic(), ""
    while jobs := [job for job in jobs if not _ran_well(job)]:
        time.sleep(0.5)
        if time.monotonic() - looked < look:
            continue
        looked, queued = time.monotonic(), queued_jobs()
        if queued is None:
            continue
        gone = {job.job_id for job in jobs} - set(queued)
        jobs = [job for job in jobs if job.job_id not in gone & missing]
        missing = gone
        reasons = Counter(
            queued[job.job_id].reason for job in jobs if job.job_id in queued and queued[job.job_id].state == "PENDING"
        )
        waiting = ", ".join(f"{number} ({reason})" for reason, number in sorted(reasons.items()))
        if waiting and waiting != said:
            log.info("SLURM: jobs that wait, with its reason: %s", waiting)
        said = waiting


def _ran_well(job: Any) -> bool:
    return all(outcome is not None and outcome[0] == "success" for outcome in map(_outcome, _results(job)))


def _outcome(path: Any) -> tuple[str, Any] | None:
    """What a task wrote: ``success`` and its value, or ``error`` and a traceback; None if there is nothing yet."""
    from submitit.core.utils import pickle_load

    if not path.exists():
        return None
    outcome: tuple[str, Any] = pickle_load(path)
    return outcome


def _returned(job: Any, overrides: Sequence[str]) -> JobReturn:
    """What the first rank returned, or an error with what each rank that failed said."""
    outcomes = [outcome for outcome in map(_outcome, _results(job)) if outcome is not None]
    reasons = [trace.strip().splitlines()[-1].partition(": ")[2] for kind, trace in outcomes if kind == "error"]
    if outcomes and not reasons:
        well: JobReturn = outcomes[0][1]
        return well
    if not reasons:
        state = exit_reason(job.job_id)
        reasons = [
            f"job {job.job_id} ended without a result{f' ({state})' if state else ''}; its output is in"
            f" {job.paths.stderr.parent}"
        ]
    error = UserError(" / ".join(dict.fromkeys(reasons)))
    return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=error)


def _results(job: Any) -> list[Any]:
    return [job.task(rank).paths.result_pickle for rank in range(job.num_tasks)]


def _let_first_rank_close(rank: int) -> None:
    """The first rank closes the loggers and has the job requeued; srun would kill it as soon as this one ends."""
    if rank > 0:
        time.sleep(_SECONDS_TO_CLOSE)
