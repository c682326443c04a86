"""Hydra plugin that runs every point of a sweep: what fails is reported at the end, what is finished is left out."""

import logging
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gat_lightning.config.label_tasks import check_label_tasks
from gat_lightning.config.messages import explain
from gat_lightning.config.points import PointLauncher, Points
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import name_after
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.listing import print_runs
from gat_lightning.runs.sweeps import Sweep, SweepPoint

log = logging.getLogger(__name__)


class EveryPoint(BasicSweeper):
    """Hydra's own sweeper, but a run that fails does not keep the others from running.

    With ``skip_finished=true`` a point whose run is finished already is left out before anything is launched. The
    points are kept in the folder of the run directories, and listed at the end.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As in Hydra."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        assert self.launcher is not None
        self._points = Points(hydra_context.config_loader, config)
        self.launcher = _Tally(self.launcher, self._points)

    def sweep(self, arguments: list[str]) -> Any:
        """Run every point.

        Raises:
            UserError: some runs failed; all others have run.
        """
        tally = self.launcher
        assert isinstance(tally, _Tally)
        returns = super().sweep(arguments)
        assert self.config is not None
        print_runs(Path(self.config.hydra.sweep.dir), tally.directories)
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
        """Compose every point before any is run, check its tasks, and say which have been finished before.

        Raises:
            UserError: a task is neither a file nor a label of the point's data set, or two points are equal.
        """
        seen: dict[str, Sequence[str]] = {}
        finished = []
        for overrides in batch:
            config = self._points(overrides)
            check_label_tasks(config)
            name = self._points.name(overrides)
            if name in seen:
                raise UserError(
                    f"Two points of the sweep have the same settings, {' '.join(seen[name])} and"
                    f" {' '.join(overrides)}: leave one out."
                )
            seen[name] = overrides
            if not config.get("skip_finished") and RunDirectory(Path(config.paths.output) / name).is_finished:
                finished.append(name)
        if finished:
            log.warning(
                "%d of %d points are finished already and run again under another name (-2, -3...): %s."
                " skip_finished=true skips them.",
                len(finished),
                len(batch),
                ", ".join(finished),
            )


class _Tally(Launcher):
    """Gives a launcher the points that are not finished, and keeps what failed apart from what ran well."""

    def __init__(self, launcher: Launcher, points: Points) -> None:
        self._launcher = launcher
        self._composed = points
        self.points: list[Sequence[str]] = []
        self.directories: list[str] = []
        self.failed: list[tuple[Sequence[str], str]] = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing: the launcher is set up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Those that ran well."""
        self.points += job_overrides
        missing = [overrides for overrides in job_overrides if not self._is_skipped(overrides)]
        if not missing:
            return []
        names = [name_after(self._composed(overrides), self._composed.name(overrides)) for overrides in missing]
        self.directories += names
        output = Path(self._composed(missing[0]).paths.output)
        record = Sweep(output, [SweepPoint(list(each), name) for each, name in zip(missing, names, strict=True)])
        if isinstance(self._launcher, PointLauncher):
            returns = self._launcher.launch_points(missing, self._composed, record)
        else:
            returns = self._launcher.launch(missing, initial_job_idx)
        well = []
        for overrides, returned in zip(missing, returns, strict=True):
            if returned.status is JobStatus.COMPLETED:
                well.append(returned)
            else:
                self.failed.append((overrides, explain(_error_of(returned))))
        return well

    def _is_skipped(self, overrides: Sequence[str]) -> bool:
        config = self._composed(overrides)
        directory = RunDirectory(Path(config.paths.output) / self._composed.name(overrides))
        skipped = bool(config.get("skip_finished")) and directory.is_finished
        if skipped:
            self.directories.append(self._composed.name(overrides))
            print(f"Skipped, since it is finished: {directory.path}", flush=True)
        return skipped


def _error_of(returned: JobReturn) -> BaseException:
    """The error of a job that failed."""
    try:
        with redirect_stderr(StringIO()):  # where Hydra announces an error that is read
            raise AssertionError(f"{returned.return_value} is no error")
    except Exception as error:
        return error
