"""Writing checkpoints so that a crash, a kill or a full disk never leaves a damaged one behind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from gat_lightning.errors import UserError

PREVIOUS = ".previous"
"""Ending of the file that keeps the checkpoint before the last one."""


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary name, syncs, keeps the old file as ``NAME.previous`` and renames.

    At any moment the name holds a whole checkpoint, the old or the new one, if it ever held one. A temporary file that
    a killed process left behind is overwritten by the next checkpoint of that name.
    """

    def save_checkpoint(
        self, checkpoint: Mapping[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            UserError: it cannot be written, for example because the disk is full; the old one is untouched.
        """
        target = Path(path)
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save(dict(checkpoint), file)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                target.with_name(target.name + PREVIOUS).unlink(missing_ok=True)
                os.link(target, target.with_name(target.name + PREVIOUS))
            temporary.replace(target)
        except (OSError, RuntimeError) as error:  # torch.save says the latter when the disk is full
            temporary.unlink(missing_ok=True)
            old = f"the one before it, '{target}', is untouched" if target.exists() else "there is none before it"
            raise UserError(
                f"A checkpoint could not be written to '{target}' ({str(error).strip().splitlines()[0]}); {old}. Make"
                " room, then go on with resume=auto."
            ) from error
