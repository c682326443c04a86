"""Searches by Optuna: what is drawn, what is told, and what a study goes on with."""

import math
from pathlib import Path
from shutil import copy

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from gat_lightning.config import score_names as known_scores
from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.config.score_names import score_names
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import first_name
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import TrainingResult, write_result
from gat_lightning.runs.scores import best_scores
from support.sweeps import sweep

pytest.importorskip("optuna")
LR = "optimizer.lr=tag(log, interval(0.001, 1))"
SEARCH = ["seed=1", LR, "weighting=equal,mgda"]
SMALL = """
defaults:
  - override hydra/sweeper: optuna
  - _self_
name: small
seed: 0
weighting: equal
optimizer: {lr: 0.1}
attack: {steps: 10}
paths: {output: outputs}
skip_finished: false
dry_run: false
optimized_metric: val/selection
hydra: {sweep: {dir: "${paths.output}"}}
"""


def settings_of(overrides):
    return dict(word.split("=", 1) for word in overrides)


def score_of(overrides):
    """Highest at a learning rate of 0.1 with MGDA."""
    settings = settings_of(overrides)
    return (settings["weighting"] == "mgda") - abs(math.log10(float(settings["optimizer.lr"])) + 1)


def finished(directory):
    """A run with a score of 0.625."""
    directory.path.mkdir(parents=True, exist_ok=True)
    directory.metrics.write_text("epoch,step,val/selection\n0,0,0.625\n")
    write_result(directory.path, TrainingResult(config={}, status="finished", metrics={"best": {"epoch": 1}}))


class Scored(Launcher):
    """Returns a score for each point; fails at some numbers, and is interrupted at one."""

    def __init__(self, score=score_of, failing=(), interrupted=None):
        self.points = []
        self._score, self._failing, self._interrupted = score, failing, interrupted

    def setup(self, **_):
        pass

    def launch(self, job_overrides, initial_job_idx):
        return [self._returned(each) for each in job_overrides]

    def _returned(self, overrides):
        number = len(self.points)
        if number == self._interrupted:
            raise KeyboardInterrupt
        self.points.append(overrides)
        if number in self._failing:
            return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=UserError("It diverged."))
        return JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=self._score(overrides))


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Runs a search whose points are small, and quick to compose."""
    conf = tmp_path / "conf"
    (conf / "hydra" / "sweeper").mkdir(parents=True)
    (conf / "train.yaml").write_text(SMALL)
    copy(find_conf() / "hydra" / "sweeper" / "optuna.yaml", conf / "hydra" / "sweeper")
    register_resolvers()
    monkeypatch.chdir(tmp_path)

    def run(launcher, *more, arguments=SEARCH, trials=6):
        monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: launcher)
        words = [*arguments, *more]
        of_hydra = [word for word in words if word.startswith("hydra.")]
        return sweep(
            [word for word in words if word not in of_hydra],
            "hydra/sweeper=optuna",
            f"hydra.sweeper.n_trials={trials}",
            *of_hydra,
        )

    with initialize_config_dir(str(conf), version_base="1.3"):
        yield run


def test_the_best_of_six_trials_of_which_one_fails_is_printed(search, capsys, caplog):
    launcher = Scored(failing=[2])
    best = search(launcher)
    well = [point for number, point in enumerate(launcher.points) if number != 2]
    assert len(launcher.points) == 6
    assert best == max(map(score_of, well))
    point = max(well, key=score_of)
    assert all(0.001 <= float(settings_of(each)["optimizer.lr"]) <= 1 for each in launcher.points)
    *_, said, trial, directory = capsys.readouterr().out.splitlines()
    assert said == f"6 trials, 1 failed. Best: val/selection {best:.4g}"
    settings = settings_of(point)
    words = f"optimizer.lr={settings['optimizer.lr']} weighting={settings['weighting']}"
    assert trial == f"Trial {launcher.points.index(point)}: {words}"
    assert directory == f"outputs/{first_name(compose('train', point))}"
    (failure,) = (message for message in caplog.messages if "failed" in message)
    assert failure == f"Trial 2, {' '.join(launcher.points[2][1:])}: failed: It diverged."


def test_a_search_that_resumes_equals_one_that_was_not_interrupted(search, capsys):
    whole = Scored(failing=[1])
    search(whole, "hydra.sweeper.study=whole")
    first, second = Scored(failing=[1], interrupted=3), Scored()
    with pytest.raises(KeyboardInterrupt):
        search(first)
    assert search(second) == search(Scored())
    assert first.points + second.points == whole.points
    assert len(second.points) == 3

    nothing_left, more = Scored(), Scored()
    capsys.readouterr()
    search(nothing_left)
    assert nothing_left.points == []
    assert "6 trials, 1 failed. Best" in capsys.readouterr().out
    search(more, trials=8)
    assert len(more.points) == 2


def test_later_trials_are_drawn_near_the_better_ones(search):
    launcher = Scored()
    search(launcher, trials=25)
    scores = list(map(score_of, launcher.points))
    assert sum(scores[-8:]) / 8 > sum(scores[:10]) / 10 + 0.3


def test_a_finished_trial_returns_its_kept_score(search, capsys):
    first = Scored()
    search(first, "hydra.sweeper.study=first", trials=1)
    (point,) = first.points
    directory = RunDirectory(Path("outputs", first_name(compose("train", point))))
    finished(directory)
    again = Scored()
    assert search(again, "skip_finished=true", trials=1) == 0.625
    assert again.points == []
    assert f"Skipped, since it is finished and skip_finished=true: {directory.path}" in capsys.readouterr().out


def test_equal_trials_of_a_batch_are_run_once(search, capsys):
    launcher = Scored(score=lambda overrides: float(overrides[-1] == "weighting=mgda"))
    assert search(launcher, "hydra.sweeper.n_jobs=6", arguments=["seed=1", "weighting=equal,mgda"]) == 1
    assert sorted(point[-1] for point in launcher.points) == ["weighting=equal", "weighting=mgda"]
    assert "6 trials, 0 failed. Best: val/selection 1" in capsys.readouterr().out


def test_an_undefined_score_is_a_failure_and_without_any_score_there_is_no_best(search):
    with pytest.raises(UserError, match="None of 6 trials has a score"):
        search(Scored(score=lambda _: math.nan, failing=[0]))


def test_a_score_that_the_runs_will_not_have_is_refused_before_any_trial(tmp_path, monkeypatch):
    register_resolvers()
    monkeypatch.chdir(tmp_path)
    launcher = Scored()
    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: launcher)
    words = ["data=digits", "task=macro", LR, "optimized_metric=test/pgd21/accuracy"]
    message = "optimized_metric=test/pgd21/accuracy: the runs have no such score, but val/selection, val/clean/accuracy"
    with (
        initialize_config_dir(str(find_conf()), version_base="1.3"),
        pytest.raises(UserError, match=f"{message}.* test/pgd20/accuracy, test/clean/macro/accuracy"),
    ):
        sweep(words, "hydra/sweeper=optuna")
    assert launcher.points == []
    assert not Path("outputs").exists()


def test_the_scores_of_a_training_are_known_before_it(quickstart):
    directory, result = quickstart
    assert set(score_names(OmegaConf.create(result["config"]))) == set(best_scores(directory))


def test_a_score_that_a_run_does_not_have_ends_the_search_and_those_that_it_has_are_named(search, monkeypatch):
    """A name that depends on what is searched over, such as the number of an attack's steps."""
    monkeypatch.setattr(known_scores, "check_optimized_metric", lambda _: None)

    def without_score(point):
        finished(RunDirectory(Path("outputs", first_name(compose("train", point)))))

    launcher = Scored(score=without_score)
    message = "optimized_metric=test/pgd21/accuracy: the runs have no such score, but val/selection"
    with pytest.raises(UserError, match=message):
        search(launcher, "optimized_metric=test/pgd21/accuracy")
    assert len(launcher.points) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=1"], "has nothing to search over: give a setting a range"),
        (["seed=1", "optimizer.lr=tag(log, interval(0, 1))"], "optimizer.lr=tag"),
        (["seed=1", "optimizer.lr=interval(1, 0.1)"], r"optimizer\.lr=interval\(1, 0\.1\): "),
    ],
    ids=str,
)
def test_wrong_searches_are_refused_before_any_trial(search, arguments, message):
    launcher = Scored()
    with pytest.raises(UserError, match=message):
        search(launcher, arguments=arguments)
    assert launcher.points == []
    assert not Path("outputs").exists()


def test_a_study_of_other_settings_is_refused(search):
    search(Scored(), trials=1)
    for changed in (["seed=1", LR, "weighting=equal,pcgrad"], [*SEARCH, "attack.steps=2"]):
        with pytest.raises(UserError, match=r"The study in 'outputs/\.sweeps/.*' is of other settings"):
            search(Scored(), arguments=changed)
    search(Scored(), "skip_finished=true", trials=2)


def test_intervals_of_integers_and_settings_of_the_command_line(search):
    launcher = Scored(score=lambda _: 0.0)
    search(
        launcher,
        "hydra.sweeper.params={attack.steps:'int(interval(2, 4))',seed:'0,1'}",
        "seed=5",
        arguments=["seed=1"],
    )
    assert {settings_of(point)["attack.steps"] for point in launcher.points} <= {"2", "3", "4"}
    assert {settings_of(point)["seed"] for point in launcher.points} == {"5"}


def test_a_dry_search_prints_its_space_and_runs_nothing(search, capsys):
    launcher = Scored()
    assert search(launcher, "dry_run=true") is None
    assert capsys.readouterr().out.splitlines() == ["6 trials over", f"  {LR}", "  weighting=equal,mgda"]
    assert launcher.points == []
    assert not Path("outputs").exists()
