"""Sweeps on one machine: every point is run, what failed is listed, what is finished is skipped."""

import json
import signal
from pathlib import Path

import pytest
from hydra import compose
from hydra.errors import MissingConfigException

from gat_lightning.commands.train.run import run
from gat_lightning.config.messages import explain
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import record_directory, run_name, skipped, stays
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import TrainingResult, write_result
from gat_lightning.runs.signals import Stopped
from gat_lightning.runs.slurm import cpus_per_task, gpus_per_node, tasks_per_node
from support.commands import command
from support.signals import signalled
from support.sweeps import kept_launcher, sweep
from support.training_runs import SHORT, TINY, tiny, trained

SMALL = ["experiment=quickstart", *TINY, *SHORT, "attack.steps=1", "validation.attack.steps=1", "test.attack.steps=1"]


def results(folder):
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("outputs/*/result.json"))]
    return {(result["config"]["seed"], result["config"]["optimizer"]["lr"]): result["status"] for result in found}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]], ids=["", "joblib"])
def test_a_failure_is_listed_at_the_end_and_the_finished_are_skipped(tmp_path, launcher):
    sweep = ["-m", *SMALL, *launcher, "curvature.mode=off", "weighting=equal", "seed=0,1"]
    done = command(*sweep, "optimizer.lr=1e30,0.05", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert results(tmp_path) == {
        (0, 1e30): "failed", (0, 0.05): "finished", (1, 1e30): "failed", (1, 0.05): "finished"
    }  # fmt: skip
    assert done.stderr.strip().splitlines()[-1].startswith("Error: 2 of 4 runs failed")
    listed = [line for line in (done.stdout + done.stderr).splitlines() if "Failed: " in line]
    for seed, line in enumerate(listed):
        assert f"seed={seed} optimizer.lr=1e+30: Training stopped at step" in line
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("outputs/*/.hydra/*.yaml")}

    again = command(*sweep, "optimizer.lr=0.05,0.1", "skip_finished=true", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("Skipped, since it is finished and skip_finished=true: outputs/") == 2
    assert set(results(tmp_path).values()) == {"failed", "finished"}
    assert len(results(tmp_path)) == 6
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())


def test_a_finished_run_is_found_and_skipped_and_otherwise_gets_a_number(tmp_path, capsys, undrawn):
    plain = tiny(tmp_path / "x", *SHORT, f"paths.output={tmp_path}")
    again = tiny(tmp_path / "x", *SHORT, f"paths.output={tmp_path}", "skip_finished=true")
    assert run_name(plain) == run_name(again)
    assert skipped(again) is None
    assert record_directory(again) == ".hydra"
    first = tmp_path / run_name(plain)
    result = trained(first, *SHORT)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert run_name(plain) == f"{first.name}-2"
    assert skipped(plain) is None
    assert skipped(again) == first
    assert record_directory(again) is None
    capsys.readouterr()
    assert run(tiny(first, *SHORT, "skip_finished=true")).metrics == result["metrics"]
    assert capsys.readouterr().out == f"Skipped, since it is finished and skip_finished=true: {first}\n"
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before


@pytest.mark.slow
def test_a_launcher_of_sweeps_wants_a_sweep(tmp_path):
    done = command("experiment=quickstart", "hydra/launcher=slurm", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "Error: hydra/launcher=slurm launches sweeps: add -m, also for a sweep of one run.\n"


@pytest.mark.slow
def test_without_slurm_the_message_says_so(tmp_path):
    done = command("-m", "experiment=quickstart", "hydra/launcher=slurm", cwd=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no SLURM here")


@pytest.mark.parametrize(("devices", "tasks"), [(1, 1), (4, 4), ("2", 2), ([0, 3], 2)])
def test_a_job_has_a_process_and_a_gpu_per_device(devices, tasks):
    assert tasks_per_node(devices) == tasks
    assert gpus_per_node("gpu", devices) == gpus_per_node("auto", devices) == tasks
    assert gpus_per_node("cpu", devices) is None


@pytest.mark.parametrize("devices", ["auto", -1, "-1", 0])
def test_a_job_needs_a_number_of_devices(devices):
    with pytest.raises(UserError, match="does not say how many processes"):
        tasks_per_node(devices)


def test_cores_of_a_process():
    assert (cpus_per_task("gpu", 0), cpus_per_task("gpu", 6), cpus_per_task("cpu", 0)) == (1, 7, 4)


def test_a_launcher_of_an_extra_names_it():
    error = MissingConfigException("none", missing_cfg_file="hydra/launcher/joblib", options=["basic", "slurm"])
    assert explain(error) == "hydra/launcher=joblib needs an extra: pip install 'gat-lightning[sweep]'"


STOP = signalled(signal.SIGTERM, "place: batch, epoch: 0, batch: 1")


def finish(directory):
    directory.mkdir(parents=True)
    write_result(directory, TrainingResult(config={}, status="finished"))


def test_equal_points_are_refused_before_any_is_run(hydra, monkeypatch):
    launcher = kept_launcher(monkeypatch)
    with pytest.raises(UserError, match="Two points of the sweep have the same settings, seed=0 and seed=0: leave one"):
        sweep(["seed=0,1,0"])
    with pytest.raises(UserError, match=r"optimizer\.lr=0\.5 and optimizer\.lr=0\.5"):
        sweep(["optimizer.lr=0.5,5e-1"])
    assert launcher.points == []


def test_points_that_are_finished_are_said_before_they_run_again_and_skipped_on_request(hydra, monkeypatch, caplog):
    launcher = kept_launcher(monkeypatch)
    sweep(["seed=0,1,2"])
    first, second, _ = (point["directory"] for point in json.loads(next(Path("outputs/.sweeps").iterdir()).read_text()))
    finish(Path("outputs", first))
    finish(Path("outputs", second))
    caplog.clear()
    sweep(["seed=0,1,2"])
    assert caplog.messages == [
        "2 of 3 points are finished already and run again under another name (-2, -3...):"
        f" {first}, {second}. skip_finished=true skips them."
    ]
    caplog.clear()
    launcher.points.clear()
    sweep(["seed=0,1,2", "skip_finished=true"])
    assert caplog.messages == []
    assert launcher.points == [["seed=2", "skip_finished=True"]]


def test_a_requeued_job_keeps_the_name_with_which_it_began(hydra, monkeypatch):
    config = compose("train", ["paths.output=here"])
    base = run_name(config)
    finish(Path("here", base))
    assert run_name(config) == f"{base}-2"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run_name(config) == base
    assert stays(config, RunDirectory(Path("here", base)))
    Path("here", f"{base}-2").mkdir()
    assert run_name(config) == f"{base}-2"
    assert not stays(config, RunDirectory(Path("here", f"{base}-2")))


def test_skip_finished_goes_on_with_an_interrupted_run(tmp_path, caplog, undrawn):
    with pytest.raises(Stopped):
        trained(tmp_path, *SHORT, "skip_finished=true", STOP)
    assert "Interrupted; the same command goes on from" in caplog.text
    result = trained(tmp_path, *SHORT, "skip_finished=true")
    assert result["resumed"] == "checkpoints/last.ckpt"
    assert result["status"] == "finished"


def test_an_interrupted_run_that_begins_anew_keeps_its_checkpoints_aside(tmp_path, caplog, undrawn):
    with pytest.raises(Stopped):
        trained(tmp_path, *SHORT, STOP)
    before = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    trained(tmp_path, *SHORT)
    (kept,) = tmp_path.glob("checkpoints-*/last.ckpt")
    assert kept.read_bytes() == before
    (said,) = (message for message in caplog.messages if "begins anew" in message)
    assert f"resume={kept}" in said
