"""SLURM: the resources of a run, and the state of the user's jobs."""

import logging
import math
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from gat_lightning.errors import UserError
from gat_lightning.runs.signals import Stopped

log = logging.getLogger(__name__)

_CORES_WITHOUT_GPU = 4
_TIME = re.compile(r"((?P<days>\d+)-)?(?P<parts>\d+(:\d+){0,2})")


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


def time_limit(limit: float | str | None, partition: str | None) -> float:
    """Minutes until SLURM ends a job; infinite without a limit.

    Args:
        limit: minutes, SLURM's ``D-HH:MM:SS`` and its shorter forms, or None for the partition's default.
        partition: where the job runs; None for the cluster's default.

    Raises:
        UserError: the limit cannot be read.
    """
    if limit is None:
        return _limit_of(partition)
    minutes = _minutes(str(limit))
    if minutes is None or not minutes > 0:
        raise UserError(
            f"hydra.launcher.timeout_min={limit} is not a time: set minutes, such as 90, SLURM's D-HH:MM:SS, such as"
            " 1-00:00:00, or null for the partition's."
        )
    return minutes


def _minutes(text: str) -> float | None:
    """Minutes of a time as SLURM writes it: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S; None for no such time."""
    if text.upper() in ("INFINITE", "UNLIMITED"):
        return math.inf
    if not (found := _TIME.fullmatch(text)):
        return None
    parts = [int(part) for part in found["parts"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = parts + [0] * (3 - len(parts))
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, minutes, seconds = 0, *parts, *[0] * (2 - len(parts))
    return int(found["days"] or 0) * 1440 + hours * 60 + minutes + seconds / 60


def _limit_of(partition: str | None) -> float:
    """A partition's default time limit, or its longest; infinite where SLURM does not say."""
    rows = [line.split("|") for line in _asked(["sinfo", "--noheader", "--format=%P|%L|%l"]) or []]
    for name, *limits in rows:
        if name == partition or (partition is None and name.endswith("*")) or name == f"{partition}*":
            return next((found for found in map(_minutes, limits) if found is not None), math.inf)
    return math.inf


class QueuedJob(NamedTuple):
    """A job that waits, runs or comes to an end.

    Attributes:
        state: as SLURM calls it, such as ``PENDING`` or ``RUNNING``.
        reason: why it waits, such as ``Priority`` or ``PartitionTimeLimit``; empty for a running one.
    """

    state: str
    reason: str


def queued_jobs() -> dict[str, QueuedJob] | None:
    """This user's jobs in the queue, by number, an array's as ``12_3``; None if SLURM is silent."""
    lines = _asked(["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r"])
    if lines is None:
        return None
    rows = (line.split("|") for line in lines)
    return {number: QueuedJob(state, "" if state == "RUNNING" else reason) for number, state, reason in rows}


def cancel(jobs: Iterable[str]) -> bool:
    """End jobs, an array by its number; False if SLURM does not do so."""
    return _asked(["scancel", *jobs]) is not None


def name_job(job: str, name: str) -> None:
    """Give a job a name, which ``squeue`` shows; SLURM may refuse, which changes nothing."""
    _asked(["scontrol", "update", f"JobId={job}", f"JobName={name}"])


def exit_reason(job: str) -> str:
    """Why a job ended, such as ``OUT_OF_MEMORY`` or ``TIMEOUT``; empty where SLURM does not know any more."""
    if found := _asked(["sacct", "--noheader", "--allocations", "--parsable2", "--format=State", f"--jobs={job}"]):
        return found[-1].partition(" ")[0]
    fields = " ".join(_asked(["scontrol", "show", "job", job]) or [])
    found_state = re.search(r"JobState=(\w+)", fields)
    return found_state[1] if found_state else ""


@contextmanager
def requeued_if_preempted() -> Iterator[None]:
    """Has SLURM requeue the job where the block is stopped to make way for another one.

    In a partition with a ``GraceTime`` SLURM requeues only what is still there at its end.
    """
    try:
        yield
    except Stopped as stop:
        job = os.environ.get("SLURM_JOB_ID")
        if stop.number == signal.SIGTERM and job and os.environ.get("SLURM_PROCID", "0") == "0" and _is_preempted(job):
            log.warning("SLURM pre-empts job %s: requeued.", job)
            _asked(["scontrol", "requeue", job])
        raise


def _is_preempted(job: str) -> bool:
    fields = " ".join(_asked(["scontrol", "show", "job", job]) or [])
    found = re.search(r"\bPreemptTime=(\S+)", fields)
    return found is not None and found[1][:1].isdigit()


def _asked(command: Sequence[str]) -> list[str] | None:
    """Lines that a command of SLURM's writes; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()
