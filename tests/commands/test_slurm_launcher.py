"""What the launcher asks of SLURM, whose commands are played by scripts."""

import os
import pickle
from pathlib import Path

import pytest

from gat_lightning.errors import UserError
from gat_lightning.runs.slurm import QueuedJob
from gat_lightning.runs.sweeps import started_points
from hydra_plugins import gat_lightning_slurm as launcher
from support.commands import command
from support.sweeps import sweep

pytest.importorskip("submitit")
SLURM = ["hydra/launcher=slurm", "hydra.launcher.wait=false"]


def scripts():
    return [path.read_text() for path in sorted(Path("outputs/.submitit").glob(".submission_file_*.sh"))]


def options(script):
    lines = (line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH"))
    return dict(line.partition("=")[::2] for line in lines)


def test_submitted_and_left(hydra, slurm, capsys):
    sweep(["experiment=digits", "seed=0,1,2", "optimizer.lr=0.1,0.2"], *SLURM)
    (script,) = scripts()
    assert options(script)["array"] == "0-5%6"
    assert options(script)["job-name"] == "digits"
    assert [(point.job, point.overrides[1]) for point in started_points(Path("outputs"))] == [
        (f"1_{place}", f"seed={place // 2}") for place in range(6)
    ]
    files = [path for path in Path().rglob("*") if path.is_file() and path.suffix == ".pkl"]
    assert len(files) == 6
    assert len(capsys.readouterr().out.splitlines()) == 1 + 6


@pytest.mark.slow
def test_200_points_are_submitted_in_seconds_with_two_files_each_at_most(tmp_path, slurm):
    seeds = f"seed={','.join(map(str, range(100)))}"
    before = os.times()
    done = command("-m", "experiment=digits", seeds, "optimizer.lr=0.1,0.2", *SLURM, cwd=tmp_path)
    after = os.times()
    assert done.returncode == 0, done.stderr
    assert len(started_points(tmp_path / "outputs")) == 200
    files = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert len(files) <= 2 * 200
    seconds = sum(after[2:4]) - sum(before[2:4])  # of processes that have ended
    print(f"{len(files)} files, {seconds:.1f} s of processor time")
    assert seconds < 60


def test_points_that_differ_in_their_names_form_one_array(hydra, slurm):
    sweep(["data=digits", "task=rotation,jigsaw", "seed=0,1"], *SLURM)
    (script,) = scripts()
    assert options(script)["array"] == "0-3%4"
    assert options(script)["job-name"] == "digits"


def test_the_configuration_goes_with_the_job(hydra, slurm, monkeypatch):
    own = hydra / "conf" / "optimizer" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("_target_: torch.optim.SGD\n_partial_: true\nlr: 0.01\n")
    sweep(["seed=4", "optimizer=mine"], *SLURM, f"hydra.searchpath=[{hydra / 'conf'}]")
    own.write_text("_target_: torch.optim.SGD\n_partial_: true\nlr: 0.02\n")
    (path,) = Path().rglob("*_submitted.pkl")
    with path.open("rb") as file:
        job = pickle.load(file).function
    assert (job._config.optimizer.lr, job._config.seed) == (0.01, 4)


@pytest.mark.parametrize(
    ("limit", "minutes"), [("1-00:00:00", "1440"), ("90", "90"), ("null", "30"), ("UNLIMITED", "0")]
)
def test_time_limits(hydra, slurm, limit, minutes):
    slurm.answer("sinfo", "echo 'debug*|30:00|1:00:00'")
    sweep(["seed=0"], *SLURM, f"hydra.launcher.timeout_min={limit}")
    assert options(*scripts())["time"] == minutes


def test_other_options_of_sbatch_and_names(hydra, slurm):
    sweep(["seed=0"], *SLURM, "hydra.launcher.additional_parameters={mail-type: END}", "hydra.launcher.name=mine")
    (script,) = scripts()
    assert options(script)["mail-type"] == "END"
    assert [line for line in script.splitlines() if "job-name" in line] == ["#SBATCH --job-name=mine"]
    with pytest.raises(UserError, match=r"set job-name by hydra\.launcher\.name"):
        sweep(["seed=1"], *SLURM, "hydra.launcher.additional_parameters={job-name: other}")


@pytest.mark.parametrize(("status", "what"), [(0, "were cancelled"), (1, "go on")])
def test_where_one_array_is_refused_the_others_are_ended(hydra, slurm, status, what):
    slurm.answer("sbatch", f"[ $(grep -c ^sbatch {slurm.log}) = 1 ] && echo Submitted batch job 41 || exit 1")
    slurm.answer("scancel", f"exit {status}")
    with pytest.raises(UserError, match=f"SLURM does not take the jobs: .* Jobs 41 of this sweep, .* {what}"):
        sweep(["trainer.devices=1,2"], *SLURM)
    assert "scancel 41" in slurm.commands


class FakeJob:
    num_tasks = 1

    def __init__(self, folder, job_id):
        self.job_id, self.path = job_id, folder / f"{job_id}.pkl"

    def task(self, rank):
        return type("Task", (), {"paths": type("Paths", (), {"result_pickle": self.path})})

    def write(self, *outcome):
        self.path.write_bytes(pickle.dumps(outcome))


def test_an_error_counts_only_once_the_job_has_left_the_queue(tmp_path, monkeypatch, caplog):
    requeued, failed = FakeJob(tmp_path, "1_0"), FakeJob(tmp_path, "1_1")
    requeued.write("error", "Traceback\nStopped: 143")
    failed.write("error", "Traceback\nUserError: no such file")
    looks = []

    def queue():
        looks.append(len(looks))
        if len(looks) == 4:
            requeued.write("success", "well")
        return {"1_0": QueuedJob("PENDING", "BeginTime")} if len(looks) < 4 else {}

    monkeypatch.setattr(launcher, "queued_jobs", queue)
    monkeypatch.setattr(launcher.time, "sleep", lambda _: None)
    caplog.set_level("INFO")
    launcher._wait([requeued, failed], look=0)
    assert launcher._ran_well(requeued)
    assert not launcher._ran_well(failed)
    assert len(looks) >= 4
    assert [text for text in caplog.messages if "BeginTime" in text] == [
        "SLURM: jobs that wait, with its reason: 1 (BeginTime)"
    ]


def test_this_launcher_needs_our_sweeper():
    with pytest.raises(UserError, match="needs hydra/sweeper=every_point"):
        launcher.SlurmLauncher(wait=True).launch([["seed=0"]], 0)
