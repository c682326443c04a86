"""Jobs that make way for others, with and without a time of grace, and jobs that wait for ever."""

import json
import time

import pytest

from support.slurm_sweeps import assert_one_wandb_run, half_way, results, runs, sweep
from support.training_runs import assert_same_run

pytestmark = pytest.mark.slurm


LINGERING = "+logger.lingering={_target_: support.slow_callback.LingeringLogger, directory: ., seconds: 20}"


def make_way(cluster, seconds=240.0):
    """Submit a job that takes the whole node, and wait until it has run."""
    said = cluster.ask("sbatch", "--partition=urgent", "--ntasks=8", "--output=/dev/null", "--wrap=sleep 1")
    number = said.split()[-1]
    deadline = time.monotonic() + seconds
    while number in cluster.ask("squeue", "--noheader", "--format=%i").split():
        assert time.monotonic() < deadline, cluster.ask("squeue")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def undisturbed(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert sweep(cluster, folder, "point=a").wait(600) == 0, (folder / "log.txt").read_text()
    return runs(folder)["a"]


@pytest.mark.parametrize("partition", ["grace", "nograce"])
def test_a_job_that_makes_way_is_requeued_and_equals_an_undisturbed_one(cluster, undisturbed, tmp_path, partition):
    process = sweep(
        cluster, tmp_path, "point=a", f"hydra.launcher.partition={partition}", "data.workers=2", "logger=wandb"
    )
    half_way(tmp_path, "a")
    make_way(cluster)
    assert process.wait(600) == 0, (tmp_path / "log.txt").read_text()
    assert [path.name for path in tmp_path.glob("outputs/quickstart-*")] == [runs(tmp_path)["a"].name]
    assert results(tmp_path)["a"]["resumed"] == "checkpoints/last.ckpt"
    assert_same_run(undisturbed, runs(tmp_path)["a"])
    assert_one_wandb_run(runs(tmp_path)["a"])


def test_a_job_that_is_requeued_after_it_finished_is_left_as_it_is(cluster, tmp_path):
    process = sweep(cluster, tmp_path, "point=b", LINGERING)
    job = half_way(tmp_path, "b")
    names = cluster.ask("squeue", "--noheader", "--format=%j").splitlines()
    assert [name.split()[:2] for name in names] == [["quickstart", "point=b"]]
    result, deadline = runs(tmp_path)["b"] / "result.json", time.monotonic() + 240
    while not (result.exists() and json.loads(result.read_text())["status"] == "finished"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before = result.read_bytes()
    cluster.ask("scontrol", "requeue", job)
    assert process.wait(600) == 0, (tmp_path / "log.txt").read_text()
    assert result.read_bytes() == before
    assert len(list(tmp_path.glob("outputs/*/result.json"))) == 1


def test_a_limit_above_the_partitions_is_said(cluster, tmp_path):
    process = sweep(cluster, tmp_path, "point=c", "hydra.launcher.partition=short", "hydra.launcher.timeout_min=10")
    deadline = time.monotonic() + 120
    while "PartitionTimeLimit" not in (tmp_path / "log.txt").read_text():
        assert time.monotonic() < deadline, (tmp_path / "log.txt").read_text()
        time.sleep(0.5)
    cluster.ask("scancel", "--user=root")
    assert process.wait(120) == 1
