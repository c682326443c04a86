"""A sweep on SLURM to which much happens. ``python -m support.eventful_sweep FOLDER`` keeps the tables of its runs."""

import sys
import tempfile
from pathlib import Path

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.runs.layout import RunDirectory
from support.cluster import CORES, started_cluster
from support.slurm_sweeps import half_way, job_of, listed, runs, sweep, wait_until


def eventful_sweep(cluster, folder):
    """Run it; the tables of runs at four moments.

    One job is pre-empted twice, one requeued after its run has finished, one fails; the process that submitted them is
    killed. When no job is left, and what made one fail is mended, the same is submitted again with
    ``skip_finished=true``.
    """
    folder.mkdir()
    (folder / "fault").touch()
    tables = {}
    filler = _occupy(cluster, CORES, 3600)
    wait_until(
        lambda: cluster.ask("squeue", "--noheader", f"--jobs={filler}", "--format=%T").strip() == "RUNNING", cluster
    )
    process = sweep(cluster, folder, "logger=wandb", experiment="eventful")
    wait_until(lambda: "jobs submitted" in (folder / "log.txt").read_text(), cluster)
    tables["before"] = listed(cluster, folder)
    cluster.ask("scancel", filler)

    half_way(folder, "a")
    tables["during"] = listed(cluster, folder)
    _preempt(cluster)
    stopped = _steps(folder)
    process.kill()
    process.wait()
    wait_until(lambda: RunDirectory(runs(folder)["b"]).is_finished, cluster)
    cluster.ask("scontrol", "requeue", job_of(runs(folder)["b"]))
    wait_until(lambda: _steps(folder) > stopped, cluster)
    _preempt(cluster)
    wait_until(lambda: not cluster.ask("squeue", "--noheader").strip(), cluster)
    tables["left"] = listed(cluster, folder)

    (folder / "fault").unlink()
    again = sweep(cluster, folder, "logger=wandb", "skip_finished=true", experiment="eventful")
    assert again.wait(600) == 0, (folder / "log.txt").read_text()
    tables["after"] = listed(cluster, folder)
    return tables


def _occupy(cluster, cores, seconds):
    """Submit a job that takes so many cores, before which others make way; its number."""
    said = cluster.ask(
        "sbatch", "--partition=urgent", f"--ntasks={cores}", "--output=/dev/null", f"--wrap=sleep {seconds}"
    )
    return said.split()[-1]


def _preempt(cluster):
    """Submit a job that needs one core more than are idle, and wait until it has run."""
    idle = int(cluster.ask("sinfo", "--noheader", "--format=%C").split("/")[1])
    job = _occupy(cluster, idle + 1, 1)
    wait_until(lambda: job not in cluster.ask("squeue", "--noheader", "--format=%i").split(), cluster)


def _steps(folder):
    return load_checkpoint(RunDirectory(runs(folder)["a"]).last)["global_step"]


def main(folder):
    """Keep the tables in a folder, one file each."""
    with tempfile.TemporaryDirectory() as temporary:
        (own := Path(temporary, "slurm")).mkdir()
        with started_cluster(own, sys.exit) as cluster:
            tables = eventful_sweep(cluster, Path(temporary, "sweep"))
    folder.mkdir(parents=True, exist_ok=True)
    for moment, table in tables.items():
        lines = (line.rstrip() for line in table.splitlines())
        (folder / f"{moment}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
