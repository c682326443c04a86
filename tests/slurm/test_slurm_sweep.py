"""A sweep on a SLURM that runs on this machine: ranks, pre-emption, failures, and what is skipped."""

import json

import pytest

from support.slurm_sweeps import assert_one_wandb_run, half_way, results, runs, sweep
from support.training_runs import assert_same_run
from support.wandb_file import paths_of

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def disturbed(cluster, tmp_path_factory):
    """Six jobs, of which one is told that its time is over, and another, with two ranks, is requeued by SLURM."""
    folder = tmp_path_factory.mktemp("sweeps") / "disturbed"
    process = sweep(cluster, folder, "logger=wandb")
    cluster.ask("scancel", "--signal=USR2", half_way(folder, "a"))
    cluster.ask("scontrol", "requeue", half_way(folder, "f"))
    assert process.wait(600) == 0, (folder / "log.txt").read_text()
    return folder


@pytest.fixture(scope="module")
def undisturbed(cluster, disturbed):
    folder = disturbed.parent / "undisturbed"
    assert sweep(cluster, folder, "point=a,f").wait(600) == 0, (folder / "log.txt").read_text()
    return folder


def test_six_jobs_of_one_and_two_ranks_finish(disturbed):
    found = results(disturbed)
    assert sorted(found) == list("abcdef")
    assert {result["status"] for result in found.values()} == {"finished"}
    assert {point: result["config"]["trainer"]["devices"] for point, result in found.items()} == {
        "a": 1, "b": 1, "c": 1, "d": 1, "e": 2, "f": 2
    }  # fmt: skip
    assert len(list(disturbed.glob("outputs/*/result.json"))) == 6


@pytest.mark.parametrize("point", ["a", "f"])
def test_a_preempted_run_equals_an_undisturbed_one(disturbed, undisturbed, point):
    whole, resumed = runs(undisturbed)[point], runs(disturbed)[point]
    assert_same_run(whole, resumed)


@pytest.mark.parametrize("point", ["a", "f"])
def test_a_preempted_run_is_one_wandb_run_with_every_row(disturbed, point):
    assert_one_wandb_run(runs(disturbed)[point])
    assert len(paths_of(runs(disturbed)[point])) == 2


def test_arrays_have_one_process_per_rank_and_a_cap(disturbed):
    scripts = [path.read_text() for path in disturbed.glob("outputs/.submitit/.submission_file_*.sh")]
    assert sorted("#SBATCH --ntasks-per-node=2" in script for script in scripts) == [False, True]
    caps = sorted(line for script in scripts for line in script.splitlines() if line.startswith("#SBATCH --array"))
    assert caps == ["#SBATCH --array=0-1%2", "#SBATCH --array=0-3%4"]
    assert all("srun" in script and "#SBATCH --requeue" in script for script in scripts)


def test_what_failed_is_reported_and_run_again_while_the_finished_are_skipped(cluster, tmp_path):
    folder = tmp_path / "sweep"
    assert sweep(cluster, folder, "point=b,e", "trainer.max_epochs=1", "optimizer.lr=0.05,1e30").wait(600) == 1
    log = (folder / "log.txt").read_text()
    assert "2 of 4 runs failed" in log
    failed = [line for line in log.splitlines() if "Failed: " in line]
    assert ["point=b" in line for line in failed] == [True, False]
    assert all("optimizer.lr=1e+30: Training stopped" in line for line in failed)
    statuses = [json.loads(path.read_text())["status"] for path in folder.glob("outputs/*/result.json")]
    assert sorted(statuses) == ["failed", "failed", "finished", "finished"]

    again = sweep(cluster, folder, "point=b,e", "trainer.max_epochs=1", "optimizer.lr=0.05", "skip_finished=true")
    assert again.wait(600) == 0
    log = (folder / "log.txt").read_text().removeprefix(log)
    assert log.count("Skipped, since it is finished and skip_finished=true: ") == 2
    assert "submitted" not in log


def test_a_cancelled_job_is_reported(cluster, tmp_path):
    folder = tmp_path / "sweep"
    process = sweep(cluster, folder, "point=c,d")
    cluster.ask("scancel", half_way(folder, "c"))
    assert process.wait(600) == 1
    log = (folder / "log.txt").read_text()
    assert "1 of 2 runs failed" in log
    assert "point=c: job" in log
    assert {point: result["status"] for point, result in results(folder).items()} == {
        "c": "interrupted", "d": "finished"
    }  # fmt: skip
