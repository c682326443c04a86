"""Warnings about a training that goes wrong, while it does."""

import logging
from typing import Any

import pytorch_lightning as pl

from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import CLEAN, MetricName
from gat_lightning.training.callbacks.sparing import Sparing
from gat_lightning.training.doubts import flat_loss, overfitting, starved
from gat_lightning.training.module import GATModule
from gat_lightning.weighting import Fixed
from gat_lightning.weighting.diagnosis import adversarial_names

log = logging.getLogger(__name__)


class TrainingDoubts(pl.Callback):
    """Warns once each, at the end of an epoch, of a flat loss, of starved objectives and of robust overfitting."""

    def __init__(self) -> None:
        self._sparing = Sparing()
        self._warned: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """What was warned of."""
        return {"warned": self._warned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do not warn of it again."""
        self._warned = list(state_dict["warned"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the rows so far."""
        if not trainer.is_global_zero or not self._sparing.is_due(trainer):
            return
        assert isinstance(pl_module, GATModule)
        with self._sparing.work():
            doubts = self._doubts(pl_module, RunDirectory(trainer.default_root_dir).history())
        for kind, message in doubts.items():
            if message is not None and kind not in self._warned:
                self._warned.append(kind)
                log.warning("Epoch %d: %s", trainer.current_epoch + 1, message)

    def _doubts(self, pl_module: GATModule, rows: list[dict[str, str]]) -> dict[str, str | None]:
        names = pl_module.method.names(pl_module.task_names)
        target = pl_module.task_names[0]
        of_target = adversarial_names(names, target)
        classes = {task.name: max(task.outputs, 2) for task in pl_module.tasks if task.kind in ("multiclass", "binary")}
        chosen = isinstance(pl_module.engine.weighting, Fixed)
        return {
            "flat": flat_loss(rows, classes),
            "starved": None if chosen else starved(rows, of_target),
            "overfitting": self._overfitting(pl_module, rows, of_target or names),
        }

    def _overfitting(self, module: GATModule, rows: list[dict[str, str]], objectives: list[str]) -> str | None:
        """Of the score that chooses the best checkpoint, where it is an accuracy or AUROC."""
        view = CLEAN if module.method.selection == "clean" else next(iter(module.attacks["val"]))
        metric = next(iter(module.tasks[0].metrics()))
        score = MetricName("val", view, str(metric))
        if not score.is_share or view not in module.checks or not module.checks[view].images:
            return None
        return overfitting(rows, score, module.checks[view].images, objectives[0])
