"""Ends a training that is to learn from images without the target's label and has none."""

import pytorch_lightning as pl

from gat_lightning.data import ImageDataModule
from gat_lightning.training.labelling import lacking
from gat_lightning.training.module import GATModule


class UnlabelledImages(pl.Callback):
    """Sees before the first step that there are training images without the target's label."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the labels of the training images.

        Raises:
            UserError: each has the target's.
        """
        assert isinstance(pl_module, GATModule)
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, ImageDataModule):
            lacking(data, pl_module.tasks[0])
