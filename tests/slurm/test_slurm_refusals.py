"""What SLURM, or we, refuse: one line, and nothing that runs on."""

import subprocess
import sys

import pytest

from support.slurm_sweeps import environment, sweep

pytestmark = pytest.mark.slurm

TRAIN = [sys.executable, "-m", "gat_lightning.train", "experiment=quickstart", "trainer.accelerator=cpu"]


def test_where_slurm_refuses_one_array_the_other_is_cancelled(cluster, tmp_path):
    assert sweep(cluster, tmp_path, "point=c", "trainer.accelerator=cpu,gpu").wait(300) == 1
    said = (tmp_path / "log.txt").read_text().splitlines()[-1]
    assert said.startswith("Error: SLURM does not take the jobs: ")
    assert said.endswith("of this sweep, submitted before, were cancelled.")
    assert cluster.ask("squeue", "--noheader", "--states=PENDING,RUNNING") == ""


@pytest.mark.parametrize(
    ("allocation", "devices", "message"),
    [
        (
            ["salloc", "--quiet", "--job-name=train", "-n1"],
            1,
            "in a SLURM job of 1 task without being one of them: start it with srun",
        ),
        (
            ["salloc", "--quiet", "--job-name=train", "-n2"],
            1,
            "in a SLURM job of 2 tasks without being one of them: start it with srun",
        ),
        (["srun", "-n1"], 2, "has 1 in all: start it with srun --nodes=1 --ntasks-per-node=2"),
    ],
    ids=["salloc", "salloc of two", "too few"],
)
def test_processes_that_are_not_the_tasks_of_a_job_are_refused(cluster, tmp_path, allocation, devices, message):
    command = [*allocation, *TRAIN, f"trainer.devices={devices}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(cluster), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert message in error
    assert not list(tmp_path.glob("outputs/*"))


def test_a_script_without_srun_is_refused_if_it_has_too_few_tasks(cluster, tmp_path):
    script = tmp_path / "job.sh"
    words = " ".join([*TRAIN, "trainer.devices=2"])
    script.write_text(f"#!/bin/bash\n#SBATCH --ntasks=1\n#SBATCH --output={tmp_path}/log.txt\n{words}\n")
    done = subprocess.run(
        ["sbatch", "--wait", str(script)], cwd=tmp_path, env=environment(cluster), capture_output=True, timeout=300
    )
    assert done.returncode == 1
    assert (tmp_path / "log.txt").read_text().splitlines()[-1].startswith("Error: trainer.devices=2 needs a process")
