"""Sweeps of six short runs on a SLURM of this machine."""

import json
import subprocess
import sys
import time
from pathlib import Path

from gat_lightning.config.checkpoint import load_checkpoint
from support.training_runs import rows
from support.wandb_file import WandbFile, missing_rows, paths_of

TESTS = Path(__file__).parents[1]
STEPS = 3 * 5


def sweep(cluster, folder, *arguments, experiment="six_jobs"):
    """Start the command that submits them; what it says is added to ``log.txt``."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "gat_lightning.train", "-m", "--config-dir", str(TESTS / "slurm" / "conf"),
               "hydra/launcher=slurm", f"experiment={experiment}", *arguments]  # fmt: skip
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=environment(cluster), stdout=log, stderr=log)


def environment(cluster):
    own = {"PYTHONPATH": str(TESTS), "PYTHONWARNINGS": "", "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    return cluster.environment | own


def listed(cluster, folder):
    """What ``python -m gat_lightning.runs`` prints."""
    command = [sys.executable, "-m", "gat_lightning.runs", "outputs"]
    done = subprocess.run(command, cwd=folder, env=environment(cluster), capture_output=True, text=True, check=True)
    return done.stdout


def wait_until(condition, cluster, seconds=400.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, cluster.ask("squeue", "--array")
        time.sleep(0.2)


def runs(folder):
    """Run directories by the name of their point; only those that have begun."""
    found = {}
    for path in folder.glob("outputs/*/.hydra/overrides.yaml"):
        for point in "abcdef":
            if f"point={point}" in path.read_text():
                found[point] = path.parent.parent
    return found


def results(folder):
    return {point: json.loads((path / "result.json").read_text()) for point, path in runs(folder).items()}


def half_way(folder, point, seconds=400.0):
    """Waits until this run has been through its first epoch; its SLURM job's number."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.1)
        last = runs(folder).get(point, folder) / "checkpoints" / "last.ckpt"
        if last.is_file():
            assert load_checkpoint(last)["global_step"] < STEPS
            return job_of(last.parent.parent)
    raise AssertionError((folder / "log.txt").read_text())


def job_of(directory):
    """Number of the SLURM job that a run has begun in."""
    job = (directory / ".hydra" / "hydra.yaml").read_text()
    return next(line.partition("id: ")[2].strip("'\" ") for line in job.splitlines() if "    id: " in line)


def assert_one_wandb_run(directory):
    """All parts have one id, and every row of ``metrics.csv`` is in one of them; the last one has ended well."""
    number = (directory / "wandb_id.txt").read_text().strip()
    parts = paths_of(directory)
    assert all(part.parent.name.endswith(f"-{number}") for part in parts)
    assert missing_rows(directory, rows(directory)) == []
    last = WandbFile.at(parts[-1])
    assert (last.run.run_id, last.exit_code) == (number, 0)
