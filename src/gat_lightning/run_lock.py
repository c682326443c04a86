"""One run at a time in a run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_only

from gat_lightning.errors import UserError

FILE = ".lock"


@contextmanager
def only_run_in(directory: Path) -> Iterator[None]:
    """Refuses the block where another process is in such a block for the same directory, on this or another machine.

    The operating system ends the claim of a process that died. Only rank 0 claims; where the file system has no
    locks, nothing is claimed.

    Raises:
        UserError: another run is at work.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    if getattr(rank_zero_only, "rank", 0) != 0:
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise UserError(
                f"Another run is at work in '{directory}' (process {owner}). Wait until it has ended, or give this one"
                " a name of its own with name=..."
            ) from None
        except OSError:
            yield
            return
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
