"""Hydra plugin that runs the trials of an Optuna study, each chosen by the scores of those before it."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig

from gat_lightning.config.label_tasks import check_label_tasks
from gat_lightning.config.messages import explain
from gat_lightning.config.point_runner import PointRunner, error_of
from gat_lightning.config.points import Points
from gat_lightning.config.search_space import SearchSpace, load_study, words
from gat_lightning.errors import UserError
from gat_lightning.runs.listing import print_runs
from gat_lightning.runs.lock import only_run_in
from gat_lightning.runs.metric_names import SELECTION
from gat_lightning.runs.scores import best_scores

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """Searches for the settings with the best score, the one that ``optimized_metric`` names.

    A trial that fails is counted, and the others run. The study is kept: the same command goes on with it, with trials
    that were interrupted first. Each trial is drawn with a seed of its own, so that a study that resumes equals one
    that was not interrupted.

    Args:
        **settings: those of ``conf/hydra/sweeper/optuna.yaml``.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = DictConfig(settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As in Hydra."""
        if config.hydra.launcher.get("wait") is False:
            raise UserError("hydra.launcher.wait=false leaves no scores for hydra/sweeper=optuna: leave it out.")
        self._config, self._loader = config, hydra_context.config_loader
        self._points = Points(self._loader, config)
        launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)
        self._runner = PointRunner(launcher, self._points)

    def sweep(self, arguments: list[str]) -> float | None:
        """Run the trials that are missing.

        Returns:
            The best score; None in a dry run, which prints the search space.

        Raises:
            UserError: a setting is wrong, the study is of other settings, or no trial has a score.
        """
        space = SearchSpace(self._loader, [*words(self._settings.params or {}), *arguments])
        for point in space.examples():
            check_label_tasks(self._points(point))
        self._check_metric(next(space.examples()))
        if self._config.get("dry_run"):
            print(f"{self._settings.n_trials} trials over", *space.searched.values(), sep="\n  ", flush=True)
            return None
        with only_run_in(Path(self._settings.study)):
            study = load_study(self._settings.study, self._settings.direction, self._config.optimized_metric, space)
            while trials := self._next(study, space):
                self._run(study, {number: space.point(values) for number, values in trials.items()})
            return self._report(study, space)

    def _check_metric(self, point: list[str]) -> None:
        """Raise `UserError` where a run will not have the score that is optimised."""
        if self._config.optimized_metric != SELECTION:
            from gat_lightning.config.score_names import check_optimized_metric  # imports Lightning

            check_optimized_metric(self._points(point))

    def _next(self, study: Any, space: SearchSpace) -> dict[int, Mapping[str, Any]]:
        """Values of the next trials by number: those that did not end, then new ones."""
        trials = {trial.number: trial.params for trial in study.trials if not trial.state.is_finished()}
        while len(trials) < self._settings.n_jobs and (number := len(study.trials)) < self._settings.n_trials:
            study.sampler = instantiate(self._settings.sampler, seed=self._settings.sampler.seed + number)
            trial = study.ask(space.distributions)
            trials[trial.number] = trial.params
        return dict(list(trials.items())[: self._settings.n_jobs])

    def _run(self, study: Any, points: Mapping[int, list[str]]) -> None:
        from optuna.trial import TrialState  # slow to import

        distinct = {self._points.name(point): point for point in points.values()}
        returns = dict(zip(distinct, self._runner.run(list(distinct.values()), min(points)), strict=True))
        for number, point in points.items():
            values, problem = self._score(returns[self._points.name(point)])
            study.tell(number, values, state=None if problem is None else TrialState.FAIL)
            said = f"failed: {problem}" if problem else f"{self._config.optimized_metric} {values:.4g}"
            level = logging.WARNING if problem else logging.INFO
            log.log(level, "Trial %d, %s: %s", number, " ".join(words(study.trials[number].params)), said)

    def _score(self, returned: JobReturn) -> tuple[float | None, str | None]:
        """The score of a trial, or why it has none."""
        metric = self._config.optimized_metric
        if returned.status is not JobStatus.COMPLETED:
            return None, explain(error_of(returned))
        if returned.return_value is None:
            scores = best_scores(Path(returned.working_dir or ""))
            raise UserError(f"optimized_metric={metric}: the runs have no such score, but {', '.join(scores)}.")
        undefined = math.isnan(returned.return_value)
        return (None, f"{metric} is undefined") if undefined else (returned.return_value, None)

    def _report(self, study: Any, space: SearchSpace) -> float:
        print_runs(Path(self._config.hydra.sweep.dir), self._runner.directories)
        failed = sum(trial.value is None for trial in study.trials)
        if failed == len(study.trials):
            raise UserError(f"None of {failed} trials has a score; the reasons are above.")
        best = study.best_trial
        print(f"{len(study.trials)} trials, {failed} failed. Best: {self._config.optimized_metric} {best.value:.4g}")
        print(f"Trial {best.number}: {' '.join(words(best.params))}")
        print(f"{Path(self._config.hydra.sweep.dir, self._points.name(space.point(best.params)))}", flush=True)
        return float(best.value)
