"""Progress display: a bar on a terminal, one line per epoch elsewhere."""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from gat_lightning.runs.metric_names import target_scores
from gat_lightning.training.module import GATModule


class Progress(TQDMProgressBar):
    """Objectives of the last step, and the target's clean and robust score of the last validation.

    Where the output is not a terminal (a batch job, a log file) the bar is replaced by one line per epoch.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=10 if sys.stderr.isatty() else 0, leave=False)
        self._started = 0.0

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What the bar shows: each objective's value, then each score."""
        assert isinstance(pl_module, GATModule)
        step = pl_module.last_step
        losses = {} if step is None else dict(zip(step.names, step.losses.tolist(), strict=True))
        shown = {name: f"{value:.3f}" for name, value in losses.items()}
        scores = trainer.callback_metrics
        return shown | {str(name): name.text(float(scores[str(name)])) for name in target_scores(scores, "val")}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line where there is no bar."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.is_enabled or not trainer.is_global_zero:
            return
        parts = [f"{name} {value}" for name, value in self.get_metrics(trainer, pl_module).items()]
        epoch, elapsed = trainer.current_epoch + 1, time.perf_counter() - self._started
        print(f"epoch {epoch}/{trainer.max_epochs}  {elapsed:.0f} s  {'  '.join(parts)}", flush=True)
