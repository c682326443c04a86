"""Pictures of a training for loggers: the Gramian, the weights, and adversarial examples."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytorch_lightning as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from gat_lightning.attacks import Attack, BinaryProblem, ClassifierProblem
from gat_lightning.batch import Batch, has_label
from gat_lightning.figures.examples import COLUMNS, adversarial_examples
from gat_lightning.figures.gallery import adversarial_gallery
from gat_lightning.figures.training import validation_scatter, weights_area
from gat_lightning.loggers import RunLogger
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.training.module import GATModule

_IMAGES = 8
_LARGEST_ANNOTATED = 12


class Pictures(pl.Callback):
    """Gives loggers the cosines of the last Gramian and adversarial examples; in the end weights and scores too.

    The examples are the first validation images, attacked, as one picture and as a table with a row per image. Does
    nothing, and costs nothing, where no logger shows pictures.

    Args:
        every_n_epochs: how many epochs lie between two sets; one more is made at the end of training.
    """

    def __init__(self, every_n_epochs: int = 10) -> None:
        self._every = every_n_epochs
        self._images: Tensor | None = None
        self._labels: Tensor | None = None
        self._drawn_at = -1

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images."""
        assert isinstance(pl_module, GATModule)
        if batch_idx > 0 or not _loggers(trainer):
            return
        label = batch.labels.get(pl_module.task_names[0])
        if label is None:
            return
        labelled = has_label(label).nonzero().flatten()[:_IMAGES]
        self._images, self._labels = batch.images[labelled], label[labelled]

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, if a multiple of the interval was reached since the last validation."""
        done, between = trainer.current_epoch + 1, trainer.check_val_every_n_epoch or 1
        if done // self._every > (done - between) // self._every:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, unless the last epoch was drawn, and draw what the whole run did."""
        self._draw(trainer, pl_module)
        if loggers := _loggers(trainer):
            rows = RunDirectory(trainer.default_root_dir).history()
            figures = {"weights": weights_area(rows), "front": validation_scatter(rows)}
            pictures = {name: pixels(figure) for name, figure in figures.items() if figure is not None}
            for logger in loggers:
                for name, picture in pictures.items():
                    logger.log_picture(name, picture, trainer.global_step, trainer.current_epoch)

    def _draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GATModule)
        loggers, step = _loggers(trainer), trainer.global_step
        if not loggers or self._drawn_at == step or trainer.sanity_checking:
            return
        self._drawn_at = step
        pictures: dict[str, np.ndarray] = {}
        examples: list[list[Any]] = []
        solved = pl_module.engine.solved
        if solved is not None and solved.gramian is not None:
            pictures["gramian"] = pixels(cosine_map(solved.names, solved.cosines().numpy()))
        drawable = pl_module.tasks[0].kind != "regression" and not pl_module.tasks[0].transforms
        if drawable and self._images is not None and len(self._images) > 0:
            pictures["adversarial"] = self._gallery(trainer, pl_module)
            examples = adversarial_examples(*self._shown(trainer, pl_module))
        for logger in loggers:
            for name, picture in pictures.items():
                logger.log_picture(name, picture, step, trainer.current_epoch)
            if examples:
                logger.log_table("examples", COLUMNS, examples, step, trainer.current_epoch)

    def _shown(
        self, trainer: pl.Trainer, pl_module: GATModule
    ) -> tuple[nn.Module, Tensor, Tensor, Sequence[str], Attack, type[ClassifierProblem]]:
        """The classifier, images, labels, names of the classes, the attack, and what it attacks."""
        assert self._images is not None
        assert self._labels is not None
        target = pl_module.task_names[0]
        classes = trainer.datamodule.info.labels[target].classes  # type: ignore[attr-defined]
        model = pl_module.model.single_task().eval()
        attack = next(iter(pl_module.attacks["val"].values()))
        problem = BinaryProblem if pl_module.tasks[0].kind == "binary" else ClassifierProblem
        return model, self._images, self._labels, classes, attack, problem

    def _gallery(self, trainer: pl.Trainer, pl_module: GATModule) -> np.ndarray:
        model, images, labels, classes, attack, problem = self._shown(trainer, pl_module)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "gallery.png"
            adversarial_gallery(model, images, labels, classes, attack, path, problem)
            return np.rint(255 * matplotlib.image.imread(path)[..., :3]).astype(np.uint8)


def cosine_map(names: Sequence[str], cosines: np.ndarray) -> Figure:
    """A heat map of the cosines between the objectives' gradients.

    Args:
        names: of the K objectives.
        cosines: ``[K, K]`` in [-1, 1].
    """
    side = 0.55 * len(names) + 2.5
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(cosines, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    if len(names) <= _LARGEST_ANNOTATED:
        for (row, column), value in np.ndenumerate(cosines):
            colour = "white" if abs(value) > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes, shrink=0.8, label="cosine of the objectives' gradients")
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """The figure as uint8 ``[H, W, 3]``."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _loggers(trainer: pl.Trainer) -> list[RunLogger]:
    """Those that show pictures, on the rank that logs."""
    loggers = (logger for logger in trainer.loggers if isinstance(logger, RunLogger))
    return [logger for logger in loggers if logger.shows_pictures] if trainer.is_global_zero else []
