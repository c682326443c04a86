"""Progress display: a bar on a terminal, one line per epoch elsewhere."""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import target_scores
from gat_lightning.runs.telling import duration, fitted, tell
from gat_lightning.training.module import GATModule


class Progress(TQDMProgressBar):
    """Objectives of the last step, and the target's clean and robust score of the last validation.

    Where the output is not a terminal (a batch job, a log file) the bar is replaced by one line per epoch, which is of
    at most 100 columns: objectives that do not fit are counted.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=10 if sys.stderr.isatty() else 0, leave=False)
        self._started = 0.0

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What the bar shows: each score, then each objective's value."""
        return self._scores(trainer) | self._objectives(pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's line where there is no bar."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.is_enabled or not trainer.is_global_zero:
            return
        epoch, elapsed = trainer.current_epoch + 1, time.perf_counter() - self._started
        scores, objectives = self._scores(trainer), self._objectives(pl_module)
        parts = [f"{name} {value}" for name, value in {**scores, **objectives}.items()]
        line = fitted(f"epoch {epoch}/{trainer.max_epochs}  {duration(elapsed)}", parts)
        tell(RunDirectory(trainer.default_root_dir), line)

    def _objectives(self, pl_module: pl.LightningModule) -> dict[str, str]:
        assert isinstance(pl_module, GATModule)
        step = pl_module.last_step
        losses = {} if step is None else dict(zip(step.names, step.losses.tolist(), strict=True))
        return {name: f"{value:.3f}" for name, value in losses.items()}

    def _scores(self, trainer: pl.Trainer) -> dict[str, str]:
        """The target's scores of the last validation; by the view alone where it has one metric."""
        values = trainer.callback_metrics
        names = target_scores(values, "val")
        alone = len({name.metric for name in names}) == 1
        return {name.view if alone else name.shown: name.text(float(values[str(name)])) for name in names}
