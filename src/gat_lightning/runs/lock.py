"""Lock of a run directory: one run at a time."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_only

from gat_lightning.errors import UserError
from gat_lightning.runs.signals import was_requeued

FILE = ".lock"

SECONDS_FOR_DEAD_NODES = 150.0
"""How long a job that SLURM requeued waits for the claim: NFS 4 keeps that of a node that died for 90 seconds."""


@contextmanager
def only_run_in(directory: Path) -> Iterator[None]:
    """Refuses the block where another process is in such a block for the same directory, on this or another machine.

    The operating system ends the claim of a process that died, even if processes that it started live on. Once
    Lightning is imported, which sets the rank, only rank 0 claims. Where the file system has no locks, nothing is
    claimed. A job that SLURM requeued waits for the claim of its own node that died.

    Raises:
        UserError: another run is at work, or the directory cannot be written to.
    """
    if getattr(rank_zero_only, "rank", 0) != 0:
        yield
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / FILE).open("a+")
    except OSError as error:
        raise UserError(
            f"The run directory '{directory}' cannot be written to ({error.strerror}). Set paths.output=FOLDER to"
            " where files may be written."
        ) from error
    with file:
        if not (_claimed(file.fileno()) or (was_requeued() and _claimed_later(file.fileno()))):
            file.seek(0)
            raise UserError(
                f"Another run is at work in '{directory}' ({file.read().strip() or 'unknown'}). Wait until it has"
                " ended, or give this one a name of its own with name=... If that machine has died, delete"
                f" '{directory / FILE}'."
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def holder(directory: Path) -> str | None:
    """The process that is at work in a run directory, as it names itself; None without one."""
    try:
        with (directory / FILE).open("r+") as file:
            return None if _claimed(file.fileno()) else file.read().strip() or "unknown"
    except OSError:
        return None


def _claimed_later(descriptor: int) -> bool:
    """Whether the claim becomes ours in time; file servers keep that of a node that died for a while."""
    deadline = time.monotonic() + SECONDS_FOR_DEAD_NODES
    while time.monotonic() < deadline:
        time.sleep(SECONDS_FOR_DEAD_NODES / 100)
        if _claimed(descriptor):
            return True
    return False


def _claimed(descriptor: int) -> bool:
    """Whether the claim is ours now; True where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process alone: its workers do not inherit it
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
