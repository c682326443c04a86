"""The table of runs: their states, and what differs between them."""

import os
import time

import pytest

from gat_lightning.runs import listing
from gat_lightning.runs.__main__ import main
from gat_lightning.runs.listing import listed_runs, print_runs, run_table
from gat_lightning.runs.result import EvaluationResult, TrainingResult, write_result
from gat_lightning.runs.slurm import QueuedJob
from gat_lightning.runs.sweeps import Sweep, SweepPoint
from support.processes import holding


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "exit_reason", lambda job: {"5_3": "OUT_OF_MEMORY"}.get(job, ""))
    names = ("queued", "running", "finished", "killed", "failed", "interrupted", "gone")
    points = [SweepPoint(["seed=0", f"task={name}"], name) for name in names]
    record = Sweep(tmp_path, points)
    record.submitted({name: f"5_{number}" for number, name in enumerate(names)})
    for name in names[1:-1]:
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / ".hydra" / "overrides.yaml").write_text(f"- seed=0\n- task={name}\n")
        (tmp_path / name / ".hydra" / "config.yaml").write_text("trainer:\n  max_epochs: 10\n")
    scores = {"test/pgd20/accuracy": 0.5, "test/clean/accuracy": 0.975, "test/clean/macro/accuracy": 1.0}
    write_result(tmp_path / "finished", TrainingResult(config={}, status="finished", metrics={"best": scores}))
    write_result(tmp_path / "failed", TrainingResult(config={}, error="Training stopped at step 3."))
    (tmp_path / "interrupted" / "checkpoints").mkdir()
    (tmp_path / "interrupted" / "checkpoints" / "last.ckpt").touch()
    (tmp_path / "running" / "metrics.csv").write_text("epoch,step\n0,1\n4,50\n")
    (tmp_path / "running" / ".lock").touch()
    started = time.time() - 3000
    os.utime(tmp_path / "running" / ".lock", (started, started))
    return tmp_path


QUEUE = {"5_0": QueuedJob("PENDING", "Resources"), "5_1": QueuedJob("RUNNING", "")}


def test_states(output):
    states = {run.directory.name: run.state for run in listed_runs(output, QUEUE)}
    assert states.pop("running").startswith("running, epoch 5 of 10, 50.0 min left")
    assert states == {
        "queued": "queued (Resources)",
        "finished": "finished, clean 97.5%, pgd20 50.0%",
        "killed": "failed (out of memory)",
        "failed": "failed: Training stopped at step 3.",
        "interrupted": "interrupted, goes on with resume=auto",
        "gone": "never started",
    }


@pytest.mark.parametrize("spelling", ["", "output=", "paths.output="])
def test_the_folder_has_the_spellings_of_other_commands(spelling, tmp_path, capsys):
    assert main([f"{spelling}{tmp_path}"]) == 0
    assert capsys.readouterr().out == f"No runs in '{tmp_path}'.\n"


def test_only_what_differs_is_shown(output):
    table = run_table(listed_runs(output, QUEUE))
    assert [row[0] for row in table][:2] == ["task=queued", "task=running"]
    assert [row[2] for row in table][:2] == ["5_0", "5_1"]
    assert table[0][3] == str(output / "queued")


def test_a_run_whose_job_still_ends_is_finished(output):
    queue = {"5_2": QueuedJob("COMPLETING", "None")}
    assert {run.directory.name: run.state for run in listed_runs(output, queue)}["finished"].startswith("finished, ")


def test_a_training_that_is_over_is_tested(output):
    (output / "running" / "metrics.csv").write_text("epoch,step\n9,100\n10,100\n")
    states = {run.directory.name: run.state for run in listed_runs(output, QUEUE)}
    assert states["running"] == "running, tests its checkpoints"


def test_what_is_no_setting_of_the_run_is_not_shown(tmp_path):
    points = [["seed=0", "logger=wandb"], ["seed=1", "skip_finished=True", "resume=auto", "paths.output=elsewhere"]]
    Sweep(tmp_path, [SweepPoint(words, str(number)) for number, words in enumerate(points)])
    assert [row[0] for row in run_table(listed_runs(tmp_path, {}))] == ["seed=0", "seed=1"]


@pytest.mark.slow
def test_a_run_that_is_at_work_here_is_running(output):
    with holding(output / "interrupted"):
        states = {run.directory.name: run.state for run in listed_runs(output, None)}
    assert states["interrupted"] == "running"


def test_single_runs_are_listed_too_and_a_sweep_only_its_own(output, capsys):
    (output / "single" / ".hydra").mkdir(parents=True)
    (output / "single" / ".hydra" / "overrides.yaml").write_text("- data=[x]\n")
    write_result(output / "single", EvaluationResult(config={}, status="finished"))
    print_runs(output)
    assert "data=[x]" in capsys.readouterr().out
    print_runs(output, ["finished", "failed"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["task=finished", "finished,"]
    assert lines[2].rstrip().endswith("failed")
    assert "Training stopped at step 3." in lines[2]


def test_a_point_that_is_started_again_is_listed_once(tmp_path):
    Sweep(tmp_path, [SweepPoint(["seed=0"], "a"), SweepPoint(["seed=1"], "b")]).submitted({"a": "1", "b": "2"})
    Sweep(tmp_path, [SweepPoint(["seed=0"], "a")]).submitted({"a": "3"})
    assert [(run.directory.name, run.job) for run in listed_runs(tmp_path, {})] == [("b", "2"), ("a", "3")]


def test_evaluations_in_runs_are_listed_and_those_of_a_sweep_wherever_they_are(tmp_path, capsys):
    names = ("a/evaluations/pgd20-1", "deeper/b/evaluations/pgd20-2", "deeper/c/evaluations/pgd20-3")
    for name in names:
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / ".hydra" / "overrides.yaml").write_text(f"- checkpoint={name[:-20]}.ckpt\n")
        write_result(tmp_path / name, EvaluationResult(config={}, status="finished"))
    assert [run.directory for run in listed_runs(tmp_path, {})] == [tmp_path / names[0]]
    print_runs(tmp_path, [names[0], names[1], str(tmp_path / names[2])])
    shown = capsys.readouterr().out.splitlines()[1:]
    assert sorted(line.split()[-1] for line in shown) == sorted(str(tmp_path / name) for name in names)
