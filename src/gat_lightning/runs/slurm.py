"""SLURM: the resources of a run, and the state of the user's jobs."""

import subprocess
from collections.abc import Sequence

from gat_lightning.errors import UserError

_CORES_WITHOUT_GPU = 4


def tasks_per_node(devices: int | str | Sequence[int]) -> int:
    """Processes on each node: one per device.

    Args:
        devices: ``trainer.devices``.

    Raises:
        UserError: it does not say how many.
    """
    if not isinstance(devices, (int, str)):
        return len(devices)
    number = int(devices) if str(devices).isdecimal() else 0
    if number < 1:
        raise UserError(
            f"trainer.devices={devices} does not say how many processes a SLURM job needs: set a number, such as"
            " trainer.devices=1."
        )
    return number


def gpus_per_node(accelerator: str, devices: int | str | Sequence[int]) -> int | None:
    """GPUs on each node: one per process, None on the CPU."""
    return None if accelerator == "cpu" else tasks_per_node(devices)


def cpus_per_task(accelerator: str, workers: int) -> int:
    """Cores of a process: one per loader and one that trains, or four without a GPU."""
    return workers + (_CORES_WITHOUT_GPU if accelerator == "cpu" else 1)


def queued_jobs() -> set[str] | None:
    """Numbers of this user's jobs that wait, run or come to an end, an array's as ``12_3``; None if SLURM is silent."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    try:
        return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())
    except (OSError, subprocess.SubprocessError):
        return None
