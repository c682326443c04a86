"""Learning curves of a run, drawn while it trains."""

import pytorch_lightning as pl

from gat_lightning.figures.curves import curves
from gat_lightning.files import atomic_write
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.training.module import GATModule


class Curves(pl.Callback):
    """Draws ``images/curves.png`` after each epoch: objectives, weights, validation scores and the learning rate."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, GATModule)
        directory = RunDirectory(trainer.default_root_dir)
        figure = curves(directory.history(), int(trainer.num_training_batches) * pl_module.method.replays)
        if figure is None:
            return
        with atomic_write(directory.curves) as temporary:
            figure.savefig(temporary, dpi=100, pil_kwargs={"compress_level": 1})
