"""Hydra plugin that runs every point of a sweep: what fails is reported at the end, what is finished is left out."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gat_lightning.config.label_tasks import check_label_tasks
from gat_lightning.config.messages import explain
from gat_lightning.config.point_runner import PointRunner, error_of
from gat_lightning.config.points import Points
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import setting_of
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.listing import print_points, print_runs
from gat_lightning.runs.telling import duration

log = logging.getLogger(__name__)

_THE_FAILED_ALONE = " When they are mended, the same command with skip_finished=true runs these alone."


class EveryPoint(BasicSweeper):
    """Hydra's own sweeper, but a run that fails does not keep the others from running.

    With ``skip_finished=true`` a point whose run is finished already is left out before anything is launched. The
    points are kept in the folder of the run directories, and listed at the end. With ``dry_run=true`` they are listed,
    and their costs are estimated here, whatever the launcher.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As in Hydra."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        assert self.launcher is not None
        if config.get("dry_run"):
            self.launcher = BasicLauncher()
            self.launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._launcher = self.launcher
        self._points = Points(hydra_context.config_loader, config)
        self._runner = PointRunner(self._launcher, self._points)
        self.launcher = _RanWell(self._runner)

    def sweep(self, arguments: list[str]) -> Any:
        """Run every point.

        Raises:
            UserError: some runs failed; all others have run.
        """
        assert self.config is not None
        if self.config.get("dry_run"):
            return self._estimate(arguments)
        returns = super().sweep(arguments)
        print_runs(Path(self.config.hydra.sweep.dir), self._runner.directories)
        self._report_failures(self._runner.failed, self._runner.points, _THE_FAILED_ALONE)
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

    def _estimate(self, arguments: list[str]) -> None:
        """List the points, then print what they cost; of those that differ in their seeds alone one is measured."""
        assert self.config is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        parsed = parser.parse_overrides([*self._parse_config(), *arguments])
        (points,) = self.split_arguments([each for each in parsed if each.key_or_group != "dry_run"], None)
        self.validate_batch_is_legal([_trained(each) for each in points])
        print_points(Path(self.config.hydra.sweep.dir), {self._points.name(_trained(each)): each for each in points})
        alike: dict[str, list[list[str]]] = {}
        for each in points:
            if not self._runner.is_skipped(_trained(each)):
                unseeded = [word for word in each if setting_of(word) != "seed"]
                alike.setdefault(self._points.name(_trained(unseeded)), []).append(each)
        measured = [[*first, "dry_run=true"] for first, *_ in alike.values()]
        returns = self._launcher.launch(measured, 0)
        failed = [
            (overrides, explain(error_of(returned)))
            for overrides, returned in zip(measured, returns, strict=True)
            if returned.status is not JobStatus.COMPLETED
        ]
        self._report_failures(failed, measured, "")
        seconds = sum(each.return_value * len(group) for each, group in zip(returns, alike.values(), strict=True))
        count = sum(map(len, alike.values()))
        runs = f"{count} run{'s, one after another' if count > 1 else ''}"
        print(f"{runs} on this machine: {duration(seconds)}.", flush=True)

    @staticmethod
    def _report_failures(
        failed: Sequence[tuple[Sequence[str], str]], points: Sequence[Sequence[str]], what_next: str
    ) -> None:
        if not failed:
            return
        common = set(points[0]).intersection(*points)
        for overrides, reason in failed:
            log.error("Failed: %s: %s", " ".join(word for word in overrides if word not in common), reason)
        raise UserError(f"{len(failed)} of {len(points)} runs failed; the reasons are above.{what_next}")


class _RanWell(Launcher):
    """Returns the points that ran well to Hydra's sweeper, which raises the error of any other.

    Args:
        runner: of all points.
    """

    def __init__(self, runner: PointRunner) -> None:
        self._runner = runner

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing: the launcher of the runner is set up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run points."""
        returns = self._runner.run(job_overrides, initial_job_idx)
        return [each for each in returns if each.status is JobStatus.COMPLETED]


def _trained(overrides: Sequence[str]) -> list[str]:
    """The point that a point of a dry run is of."""
    return [*overrides, "dry_run=false"]
