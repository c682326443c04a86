"""Weight averaging: an averaged model is scored and saved next to the plain one."""

from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from gat_lightning.batch import Batch, pieces
from gat_lightning.data import ImageDataModule
from gat_lightning.data.loader import BatchLoader
from gat_lightning.errors import UserError
from gat_lightning.models import MultiTaskModel
from gat_lightning.training.averaging import AveragingRule, WeightAverage, recompute_batchnorm
from gat_lightning.training.module import GATModule
from gat_lightning.training.pseudo_labels import AverageLabels
from gat_lightning.training.schedules import steps_of_run
from gat_lightning.training.validation import Scoring


class WeightAveraging(pl.Callback):
    """Averages the weights as the rule says; scores the average in every validation; saves it after every epoch.

    The average is a further checkpoint beside ``best`` and ``last``: ``DIRPATH/NAME.ckpt``, with NAME the rule's, which
    loads like these. It is the average at the end of the last epoch; none is chosen by its score. Its validation scores
    are logged as ``NAME/val/VIEW/METRIC``. A rule that leaves out the first steps has neither until it takes in one.
    Before the average is scored or saved its BatchNorm statistics are recomputed by one pass over the epoch's training
    images: augmented, but neither transformed by a self-supervised task nor attacked, because it is evaluated on plain
    images. Nothing of this touches the plain model or a random generator: the run is the same, bit by bit, without it.

    The averaged parameters are this callback's state in Lightning's checkpoints, from which a resumed run continues;
    a checkpoint without them starts the average anew from its weights. Every rank keeps the same average, since the
    parameters are the same on all after each step.

    Args:
        rule: which weights are averaged, and with which shares.
        dirpath: where the checkpoint goes.
    """

    def __init__(self, rule: AveragingRule, dirpath: str | Path) -> None:
        self.average: WeightAverage[MultiTaskModel] | None = None
        self._rule = rule
        self._path = Path(dirpath) / f"{rule.name}.ckpt"
        self._restored: dict[str, Any] = {}
        self._statistics_of = -1
        self._scoring: Scoring | None = None

    @property
    def state_key(self) -> str:
        """One for every rule."""
        return self._generate_state_key(name=self._rule.name)

    def state_dict(self) -> dict[str, Any]:
        """The averaged parameters, as plain types and tensors."""
        return self._restored if self.average is None else self.average.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the averaged parameters until training starts."""
        self._restored, self.average = state_dict, None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse data that no statistics can be computed on.

        Raises:
            UserError: the trainer has no data module of ours.
        """
        if stage == "fit" and not isinstance(getattr(trainer, "datamodule", None), ImageDataModule):
            raise UserError(
                f"The average '{self._rule.name}' needs training images for its BatchNorm statistics:"
                " call trainer.fit(module, datamodule=...) with an ImageDataModule."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with the weights as they are, or with the restored average; from now on look at every step.

        The optimiser calls, not Lightning after the batch: a checkpoint that another callback saves then always holds
        the step, and a method that steps several times per batch is averaged as often.
        """
        assert isinstance(pl_module, GATModule)
        state = self.state_dict()
        self.average = WeightAverage(pl_module.model, self._rule)
        if state:
            self.average.load_state_dict(state)
        if isinstance(pl_module.pseudo_labels, AverageLabels):
            pl_module.pseudo_labels.averages[self._rule.name] = self.average.model
        self._statistics_of = -1
        replays = pl_module.method.replays
        taking = partial(self._take_in, trainer, steps_of_run(trainer, replays), replays)
        trainer.optimizers[0].register_step_post_hook(taking)  # on this fit's optimiser, so never removed

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fresh metrics, as the module's own."""
        assert isinstance(pl_module, GATModule)
        if self.average is None or not self.average.steps:
            return
        self._recompute_statistics(trainer, pl_module)
        self._scoring = pl_module.new_scoring("val", self.average.model)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the average on the same images."""
        if self._scoring is not None:
            self._scoring.update(batch, batch_idx)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the scores."""
        if self._scoring is not None:
            scores = {f"{self._rule.name}/{name}": value for name, value in self._scoring.compute().items()}
            pl_module.log_dict(scores, sync_dist=True)  # the same on every rank; without it Lightning warns
        self._scoring = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoint."""
        assert self.average is not None
        assert isinstance(pl_module, GATModule)
        if not self.average.steps:
            return
        self._recompute_statistics(trainer, pl_module)
        averaged = {f"model.{name}": value for name, value in self.average.model.state_dict().items()}
        checkpoint = {
            "epoch": trainer.current_epoch,
            "global_step": trainer.global_step,
            "pytorch-lightning_version": version("pytorch-lightning"),
            "state_dict": {**pl_module.state_dict(), **averaged},
        }
        pl_module.on_save_checkpoint(checkpoint)
        trainer.strategy.save_checkpoint(checkpoint, self._path)

    def _take_in(self, trainer: pl.Trainer, steps: int, replays: int, *_: Any) -> None:
        assert self.average is not None
        step = trainer.global_step + 1  # which is counted after its hooks
        if self._rule.takes(step, steps, trainer.is_last_batch and step % replays == 0):
            self.average.update()

    def _recompute_statistics(self, trainer: pl.Trainer, pl_module: GATModule) -> None:
        """Unless they already belong to the average as it is now."""
        assert self.average is not None
        if self._statistics_of != self.average.steps:
            with torch.random.fork_rng(devices=[]):  # a DataLoader draws a seed for its workers, even without any
                images = _training_images(trainer, pl_module.device, pl_module.micro_batch)
                recompute_batchnorm(self.average.model, (part.to(pl_module.dtype) for part in images))
            self._statistics_of = self.average.steps


def _training_images(trainer: pl.Trainer, device: torch.device, micro_batch: int | None) -> Iterator[Tensor]:
    """This rank's part of the epoch's images, as many at once as in training, in the order of the first epoch.

    By a loader of its own, since the trainer's may be in the middle of the epoch.
    """
    data = getattr(trainer, "datamodule", None)
    assert isinstance(data, ImageDataModule)
    loader = BatchLoader(data.training_split(), data.training_sampler(), data.workers, device, labels=())
    for batch in islice(loader, int(trainer.num_training_batches)):
        images = data.augmented(batch, trainer.current_epoch).images
        yield from (images[rows] for rows in pieces(len(images), micro_batch))
