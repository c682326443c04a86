"""Learning curves of a run, drawn while it trains."""

import pytorch_lightning as pl

from gat_lightning.figures.curves import curves
from gat_lightning.files import atomic_write
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.training.callbacks.sparing import Sparing
from gat_lightning.training.module import GATModule


class Curves(pl.Callback):
    """Draws ``images/curves.png`` after each epoch: objectives, weights, validation scores and the learning rate.

    After the first 100 epochs it draws less often where it would take more than 5 % of the time, and once at the end.
    """

    def __init__(self) -> None:
        self._sparing = Sparing()
        self._drawn_at = -1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        if trainer.is_global_zero and self._sparing.is_due(trainer):
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, unless the last epoch was drawn."""
        if trainer.is_global_zero and self._drawn_at != trainer.global_step:
            self._draw(trainer, pl_module)

    def _draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GATModule)
        directory = RunDirectory(trainer.default_root_dir)
        self._drawn_at = trainer.global_step
        with self._sparing.work():
            steps = int(trainer.num_training_batches) * pl_module.method.replays
            figure = curves(directory.history(), steps)
            if figure is not None:
                with atomic_write(directory.curves) as temporary:
                    figure.savefig(temporary, dpi=100, pil_kwargs={"compress_level": 1})
