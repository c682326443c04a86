"""Hydra plugin that runs every point of a sweep: what fails is reported at the end, what is finished is left out."""

import logging
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gat_lightning.config.label_tasks import check_label_tasks
from gat_lightning.config.messages import explain
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import skipped

log = logging.getLogger(__name__)


class EveryPoint(BasicSweeper):
    """Hydra's own sweeper, but a run that fails does not keep the others from running.

    With ``skip_finished=true`` a point whose run is finished already is left out before anything is launched.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As in Hydra."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        assert self.launcher is not None
        self.launcher = _Tally(self.launcher, hydra_context, config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run every point.

        Raises:
            UserError: some runs failed; all others have run.
        """
        tally = self.launcher
        assert isinstance(tally, _Tally)
        returns = super().sweep(arguments)
        if tally.failed:
            common = set(tally.points[0]).intersection(*tally.points)
            for overrides, reason in tally.failed:
                log.error("Failed: %s: %s", " ".join(word for word in overrides if word not in common), reason)
            raise UserError(
                f"{len(tally.failed)} of {len(tally.points)} runs failed; the reasons are above. When they are mended,"
                " the same command with skip_finished=true runs these alone."
            )
        return returns

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every point before any is run, and check its tasks.

        Raises:
            UserError: a task is neither a file nor a label of the point's data set.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        for overrides in batch:
            check_label_tasks(self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides)))


class _Tally(Launcher):
    """Gives a launcher the points that are not finished, and keeps what failed apart from what ran well."""

    def __init__(self, launcher: Launcher, hydra_context: HydraContext, config: DictConfig) -> None:
        self._launcher = launcher
        self._context = hydra_context
        self._config = config
        self.points: list[Sequence[str]] = []
        self.failed: list[tuple[Sequence[str], str]] = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing: the launcher is set up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Those that ran well."""
        self.points += job_overrides
        missing = [overrides for overrides in job_overrides if not self._is_finished(overrides)]
        returns = self._launcher.launch(missing, initial_job_idx) if missing else []
        well = []
        for overrides, returned in zip(missing, returns, strict=True):
            if returned.status is JobStatus.COMPLETED:
                well.append(returned)
            else:
                self.failed.append((overrides, explain(_error_of(returned))))
        return well

    def _is_finished(self, overrides: Sequence[str]) -> bool:
        config = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        directory = skipped(config) if "skip_finished" in config else None
        if directory is not None:
            print(f"Skipped, since it is finished: {directory}", flush=True)
        return directory is not None


def _error_of(returned: JobReturn) -> BaseException:
    """The error of a job that failed."""
    try:
        with redirect_stderr(StringIO()):  # where Hydra announces an error that is read
            raise AssertionError(f"{returned.return_value} is no error")
    except Exception as error:
        return error
