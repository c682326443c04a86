"""Atomic checkpoints: a crash, a kill or a full disk never leaves a damaged file."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write

PREVIOUS = ".previous"
"""Ending of the file that keeps the checkpoint before the last one."""


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically and keeps the one before as ``NAME.previous``.

    From the first checkpoint of a name on, the name holds a whole one at any moment, the old or the new one. A
    temporary file that a killed process left behind is removed by the next checkpoint of that name.
    """

    def save_checkpoint(
        self, checkpoint: Mapping[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            UserError: it cannot be written, for example because the disk is full; the old one is untouched.
        """
        target = Path(path)
        try:
            for abandoned in target.parent.glob(f".{target.stem}*"):
                abandoned.unlink()
            with atomic_write(target) as temporary:
                with temporary.open("wb") as file:
                    torch.save(dict(checkpoint), file)
                if target.exists():
                    _keep(target)
        except (OSError, RuntimeError) as error:  # torch.save raises the latter when the disk is full
            old = f"the one before it, '{target}', is untouched" if target.exists() else "there is none before it"
            raise UserError(
                f"A checkpoint could not be written to '{target}' ({_reason(error)}); {old}. Make room or mend what"
                " is wrong there, then go on with resume=auto."
            ) from error


def _keep(target: Path) -> None:
    """Give a file its second name, which replaces an older file in one move."""
    with atomic_write(target.with_name(target.name + PREVIOUS)) as second:
        try:
            os.link(target, second)
        except OSError:  # a file system without hard links
            shutil.copyfile(target, second)


def _reason(error: BaseException) -> str:
    """What the operating system said, which torch's own error hides."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).strip().splitlines()[0]
