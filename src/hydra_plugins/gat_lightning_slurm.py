"""Hydra plugin that runs the points of a sweep as SLURM jobs, one process per rank, through submitit."""

import json
import logging
import shutil
import signal
import time
from collections.abc import Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.errors import UserError
from gat_lightning.runs.signals import Stopped
from gat_lightning.runs.slurm import queued_jobs

log = logging.getLogger(__name__)

# Settings that submitit has for every kind of cluster; the others are SLURM's.
_OF_SUBMITIT = ("timeout_min", "nodes", "tasks_per_node", "gpus_per_node", "cpus_per_task")
_SECONDS_TO_CLOSE = 30.0


class SlurmLauncher(Launcher):
    """Submits jobs that need the same resources as one array, and waits for all of them.

    SLURM requeues a job that it pre-empts, and submitit one whose time is over; it goes on from its last checkpoint.

    Args:
        settings: those of ``conf/hydra/launcher/slurm.yaml``; each job has them with the ``trainer`` of its own point.
    """

    def __init__(self, **settings: Any) -> None:
        self._context: HydraContext
        self._task: TaskFunction
        self._config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember what a job runs."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit, and wait.

        Raises:
            UserError: submitit or SLURM is not there, or SLURM does not take the jobs.
        """
        arrays: dict[str, list[int]] = {}
        for place, overrides in enumerate(job_overrides):
            settings = OmegaConf.to_container(self._point(overrides).hydra.launcher, resolve=True)
            arrays.setdefault(json.dumps(settings), []).append(place)
        jobs: dict[int, Any] = {}
        for text, places in arrays.items():
            executor = _executor(json.loads(text))
            numbers = [initial_job_idx + place for place in places]
            try:
                submitted = executor.map_array(self, [list(job_overrides[place]) for place in places], numbers)
            except RuntimeError as error:
                raise UserError(f"SLURM does not take the jobs: {' '.join(str(error).split())}") from error
            jobs |= dict(zip(places, submitted, strict=True))
        names = list(dict.fromkeys(job.job_id.partition("_")[0] for job in jobs.values()))
        log.info("SLURM: %d jobs submitted, as %s; waiting for them", len(jobs), ", ".join(names))
        try:
            _wait(list(jobs.values()))
        except KeyboardInterrupt:
            log.warning("The jobs go on; to end them: scancel %s", " ".join(names))
            raise
        return [_returned(jobs[place], overrides) for place, overrides in enumerate(job_overrides)]

    def __call__(self, overrides: list[str], number: int) -> JobReturn:
        """Run one point, in a job's process."""
        import submitit

        setup_globals()
        register_resolvers()
        environment = submitit.JobEnvironment()
        config = self._point(overrides)
        with open_dict(config.hydra):
            config.hydra.job.id, config.hydra.job.num = environment.job_id, number
            if environment.global_rank > 0:
                config.hydra.output_subdir = None
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

    def checkpoint(self, *arguments: Any) -> Any:
        """What submitit runs after a requeue: the same, which goes on from its last checkpoint."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *arguments)

    def __getstate__(self) -> dict[str, Any]:
        """With Hydra's singletons, which a job needs."""
        return self.__dict__ | {"_singletons": Singleton.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a job."""
        Singleton.set_state(state.pop("_singletons"))
        self.__dict__.update(state)

    def _point(self, overrides: Sequence[str]) -> DictConfig:
        return self._context.config_loader.load_sweep_config(self._config, list(overrides))


def _executor(settings: dict[str, Any]) -> Any:
    """Submits with these settings."""
    try:
        import submitit
    except ImportError:
        raise UserError("hydra/launcher=slurm needs submitit: pip install 'gat-lightning[slurm]'") from None
    if shutil.which("sbatch") is None:
        raise UserError(
            "There is no SLURM here (no sbatch): start the sweep where there is, or leave out hydra/launcher."
        )
    settings.pop("_target_", None)
    folder, timeouts = settings.pop("folder"), settings.pop("max_num_timeout")
    executor = submitit.AutoExecutor(folder=folder, cluster="slurm", slurm_max_num_timeout=timeouts)
    cores = f"--cpus-per-task={settings['cpus_per_task']}"  # which srun does not take from sbatch
    named = {key if key in _OF_SUBMITIT else f"slurm_{key}": value for key, value in settings.items()}
    given = {key: value for key, value in named.items() if value is not None}
    given["slurm_additional_parameters"] = {"requeue": True, **settings["additional_parameters"]}
    executor.update_parameters(name="gat", slurm_srun_args=["--kill-on-bad-exit=1", cores], **given)
    return executor


def _wait(jobs: list[Any], look: float = 15.0) -> None:
    """Until every job has written what its tasks return, or SLURM does not know it any more.

    Args:
        jobs: of submitit.
        look: seconds between two looks at the queue; a job that is missing twice is over.
    """
    missing: set[str] = set()
    looked = time.monotonic()
    while jobs := [job for job in jobs if not all(path.exists() for path in _results(job))]:
        time.sleep(0.5)
        if time.monotonic() - looked < look:
            continue
        looked, queued = time.monotonic(), queued_jobs()
        gone = set() if queued is None else {job.job_id for job in jobs} - queued
        jobs = [job for job in jobs if job.job_id not in gone & missing]
        missing = gone


def _returned(job: Any, overrides: Sequence[str]) -> JobReturn:
    """What the first rank returned, or an error with what each rank that failed said."""
    from submitit.core.utils import pickle_load

    outcomes = [pickle_load(path) for path in _results(job) if path.exists()]
    reasons = [trace.strip().splitlines()[-1].partition(": ")[2] for kind, trace in outcomes if kind == "error"]
    if outcomes and not reasons:
        well: JobReturn = outcomes[0][1]
        return well
    if not reasons:
        reasons = [f"job {job.job_id} ended without a result; its output is in {job.paths.stderr.parent}"]
    error = UserError(" / ".join(dict.fromkeys(reasons)))
    return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=error)


def _results(job: Any) -> list[Any]:
    return [job.task(rank).paths.result_pickle for rank in range(job.num_tasks)]


def _let_first_rank_close(rank: int) -> None:
    """The first rank closes the loggers and has the job requeued; srun would kill it as soon as this one ends."""
    if rank > 0:
        time.sleep(_SECONDS_TO_CLOSE)
