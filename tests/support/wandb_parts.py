"""Parts of one run with W&B, as a resumed run has them. ``python -m support.wandb_parts RUN`` loses W&B's process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from gat_lightning.loggers import CSVLogger
from gat_lightning.loggers.wandb import WandbLogger

CONFIG = {"seed": 3}


def part(run, resumed_at, scores, status="interrupted", lose_process_after=None):
    """Log validation scores by step, as a run does between its start and its end."""
    run.mkdir(exist_ok=True)
    loggers = [CSVLogger(run), WandbLogger(run, "test")]
    for each in loggers:
        each.begin(CONFIG, resumed_at)
    for step, score in scores.items():
        for each in loggers:
            each.log_metrics({"epoch": step // 10, "val/pgd2/accuracy": score, "val/clean/age/mae": score}, step)
        if step == lose_process_after:
            end_wandb_core()
    for each in loggers:
        each.end(status, {})


def end_wandb_core():
    """What SLURM does, whose signal goes to every process of a job."""
    core = wandb_core_of(os.getpid())
    os.kill(core, signal.SIGTERM)
    os.waitpid(core, 0)


def wandb_core_of(process):
    """Number of W&B's own process of a process."""
    found = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    (core,) = (int(line.split()[0]) for line in found if "wandb-core" in line and f"--pid {process}" in line)
    return core


def offline():
    """Before a training in a process of its own, whose environment is not that of the test."""
    os.environ["WANDB_MODE"] = "offline"
    for name in ("WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_SERVICE"):
        os.environ.pop(name, None)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    part(directory, None, {10: 0.1})
    part(directory, 10, {20: 0.2, 30: 0.3, 40: 0.4}, lose_process_after=30)
    part(directory, 30, {40: 0.4, 50: 0.5}, "finished")
