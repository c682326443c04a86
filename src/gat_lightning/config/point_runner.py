"""Runs of a sweep's points: finished ones are skipped, failed ones are counted."""

from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from gat_lightning.config.messages import explain
from gat_lightning.config.points import PointLauncher, Points
from gat_lightning.runs.directory import name_after
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.scores import best_scores
from gat_lightning.runs.sweeps import Sweep, SweepPoint


class PointRunner:
    """Gives a launcher the points that are not finished, and records them in the folder of the run directories.

    Args:
        launcher: of the sweep.
        composed: the configurations of its points.

    Attributes:
        points: all points so far.
        directories: names of their run directories.
        failed: the points that failed, each with the reason.
    """

    def __init__(self, launcher: Launcher, composed: Points) -> None:
        self._launcher = launcher
        self._composed = composed
        self.points: list[Sequence[str]] = []
        self.directories: list[str] = []
        self.failed: list[tuple[Sequence[str], str]] = []

    def run(self, points: Sequence[Sequence[str]], first_number: int) -> list[JobReturn]:
        """Run points.

        Args:
            points: the overrides of each.
            first_number: of the first one in its sweep.

        Returns:
            What each returned, in order. It has the status, the score that ``optimized_metric`` names, and as
            ``working_dir`` the run directory. With ``skip_finished=true`` a finished one is not run again; its score
            is the kept one.
        """
        skipped = {tuple(each): self._kept(each) for each in points if self.is_skipped(each)}
        missing = [each for each in points if tuple(each) not in skipped]
        returns = iter(self._launch(missing, first_number) if missing else [])
        found = [skipped.get(tuple(each)) or next(returns) for each in points]
        for overrides, returned in zip(points, found, strict=True):
            self.points.append(overrides)
            if returned.status is not JobStatus.COMPLETED:
                self.failed.append((overrides, explain(error_of(returned))))
        return found

    def is_skipped(self, overrides: Sequence[str]) -> bool:
        """Whether a point is finished and ``skip_finished=true``."""
        return bool(self._composed(overrides).get("skip_finished")) and self._directory(overrides).is_finished

    def _launch(self, points: Sequence[Sequence[str]], first_number: int) -> Sequence[JobReturn]:
        names = [name_after(self._composed(each), self._composed.name(each)) for each in points]
        self.directories += names
        output = Path(self._composed(points[0]).paths.output)
        record = Sweep(output, [SweepPoint(list(each), name) for each, name in zip(points, names, strict=True)])
        if isinstance(self._launcher, PointLauncher):
            returns = self._launcher.launch_points(points, self._composed, record)
        else:
            returns = self._launcher.launch(points, first_number)
        for returned, name in zip(returns, names, strict=True):
            returned.working_dir = str(output / name)  # to Hydra the folder that the command was typed in
        return returns

    def _kept(self, overrides: Sequence[str]) -> JobReturn:
        """The return of a finished run."""
        path = self._directory(overrides).path
        self.directories.append(self._composed.name(overrides))
        print(f"Skipped, since it is finished and skip_finished=true: {path}", flush=True)
        score = best_scores(path).get(self._composed(overrides).get("optimized_metric"))
        return JobReturn(overrides=overrides, status=JobStatus.COMPLETED, working_dir=str(path), _return_value=score)

    def _directory(self, overrides: Sequence[str]) -> RunDirectory:
        return RunDirectory(Path(self._composed(overrides).paths.output) / self._composed.name(overrides))


def error_of(returned: JobReturn) -> BaseException:
    """The error of a job that failed."""
    try:
        with redirect_stderr(StringIO()):  # where Hydra announces an error that is read
            raise AssertionError(f"{returned.return_value} is no error")
    except Exception as error:
        return error
