"""TensorBoard event files in the run directory."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from gat_lightning.errors import UserError
from gat_lightning.loggers.base import RunLogger

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger(RunLogger):
    """Scalars, pictures and the configuration, in ``tensorboard/`` of the run directory.

    A resumed run, and a new run in the same directory, hide what an earlier attempt logged after their first step.

    Args:
        directory: the run directory.

    Raises:
        UserError: TensorBoard is not installed.
    """

    shows_pictures = True

    def __init__(self, directory: str | Path) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise UserError("logger=tensorboard needs TensorBoard: pip install gat-lightning[tensorboard]")
        super().__init__(directory)
        self._writer: SummaryWriter | None = None
        self._process = 0

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file."""
        return {**self.__dict__, "_writer": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        """The writer, opened at first use. A forked or spawned process writes its own file."""
        if self._writer is None or self._process != os.getpid():
            return self._open()
        return self._writer

    def begin(self, config: Mapping[str, Any], resumed_at: int | None) -> None:
        """Write the configuration."""
        writer = self._open(purge_from=0 if resumed_at is None else resumed_at + 1)
        writer.add_text("config", f"```json\n{json.dumps(config, indent=2)}\n```", resumed_at or 0)
        self.save()

    def _open(self, purge_from: int | None = None) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self.directory / "tensorboard"), purge_step=purge_from)
        self._process = os.getpid()
        return self._writer

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add each metric to its curve."""
        for name, value in metrics.items():
            self.experiment.add_scalar(name, value, step)

    @rank_zero_only
    def log_picture(self, name: str, pixels: np.ndarray, step: int, epoch: int) -> None:
        """Add a picture to its series."""
        self.experiment.add_image(name, pixels, step, dataformats="HWC")

    @rank_zero_only
    def save(self) -> None:
        """Flush pending data."""
        if self._writer is not None:
            self._writer.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Flush pending data: Lightning may be about to end the process."""
        self.save()

    @rank_zero_only
    def end(self, status: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
