"""The best checkpoint of a run that was moved, or that another run goes on from."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from gat_lightning.files import atomic_write
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.relative_paths import rebased

log = logging.getLogger(__name__)


class CheckpointPaths(pl.Callback):
    """Keeps the best score and its checkpoint where a run resumes in another place than the one it was begun in.

    Lightning's ``ModelCheckpoint`` remembers absolute paths, and forgets its best score where they have changed. They
    are written relative to the run directory and read as those of the run that resumes. A run that resumes from another
    run's checkpoint takes a copy of that one's best. Where there is no such file, the score is forgotten, with a
    warning.
    """

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write relative paths."""
        states = checkpoint["callbacks"]
        for callback in _keepers(trainer):
            if callback.state_key in states:
                folder = RunDirectory(".").checkpoints
                states[callback.state_key] = rebased(states[callback.state_key], str(callback.dirpath), folder)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Read them, and look for the files: here, then beside the checkpoint."""
        states, source = checkpoint["callbacks"], Path(str(trainer.ckpt_path)).parent
        for callback in _keepers(trainer):
            state = states.get(callback.state_key)
            if state is None:
                continue
            here = Path(str(callback.dirpath))
            state = {**rebased(state, state["dirpath"], here), "dirpath": str(here)}
            if trainer.is_global_zero:
                _copy([Path(path) for path in state["best_k_models"]], source)
            trainer.strategy.barrier()
            lost = [path for path in state["best_k_models"] if not Path(path).is_file()]
            if lost:
                del states[callback.state_key]
                log.warning(
                    "There is no '%s' of the epochs before, nor one beside '%s': the best of the epochs from here on"
                    " is kept.",
                    lost[0],
                    trainer.ckpt_path,
                )
            else:
                states[callback.state_key] = state


def _keepers(trainer: pl.Trainer) -> list[ModelCheckpoint]:
    return [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)]


def _copy(paths: list[Path], source: Path) -> None:
    """Take each file from ``source``, unless that is its own folder or has none."""
    for path in paths:
        there = source / path.name
        if there.is_file() and path.parent.resolve() != source.resolve():
            with atomic_write(path) as temporary:
                shutil.copyfile(there, temporary)
