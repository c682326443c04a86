"""Validation and test of a LightningModule: the target's scores, clean and under attack, and the other tasks'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytorch_lightning as pl

from gat_lightning.attacks import Attack
from gat_lightning.batch import Batch
from gat_lightning.distributed import copy_to_ranks
from gat_lightning.models import MultiTaskModel
from gat_lightning.runs.metric_names import CLEAN, SELECTION, MetricName
from gat_lightning.tasks import Task
from gat_lightning.training.scoring import Scoring


@dataclass(frozen=True)
class Scores:
    """What validation and test measure besides clean metrics.

    Attributes:
        validation_attacks: at least one, by the name of its view in the metrics; the first chooses the best checkpoint.
        test_attacks: likewise.
        validation_images: how many images of the validation split are attacked; all if None.
    """

    validation_attacks: Mapping[str, Attack]
    test_attacks: Mapping[str, Attack]
    validation_images: int | None = None


class ScoredModule(pl.LightningModule):
    """A multi-task model whose tasks are validated and tested. Subclasses define the training.

    Args:
        model: the multi-task model.
        tasks: the target first.
        scores: what is measured.
        robust_selection: whether the best checkpoint has the best score under attack, or on clean images.
        micro_batch: most images that go through the model at once; all of a batch if None.
        seed: of the attacks' random starts.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        tasks: Sequence[Task],
        scores: Scores,
        robust_selection: bool,
        micro_batch: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.tasks = list(tasks)
        self.task_names = [task.name for task in tasks]
        self.attacks = {"val": scores.validation_attacks, "test": scores.test_attacks}
        self.micro_batch = micro_batch
        self.seed = seed
        self._attacked_images = {"val": scores.validation_images, "test": None}
        self._selection_view = next(iter(scores.validation_attacks)) if robust_selection else CLEAN

    @property
    def selection_limit(self) -> int | None:
        """How many images of the validation split choose the best checkpoint; all if None."""
        return None if self._selection_view == CLEAN else self._attacked_images["val"]

    def new_scoring(self, split: str, model: MultiTaskModel) -> Scoring:
        """Fresh metrics of ``val`` or ``test`` for the model or an average of it."""
        images = self._attacked_images[split]
        return Scoring(model, self.tasks, self.attacks[split], self.seed, split, images, self.micro_batch)

    def on_validation_epoch_start(self) -> None:
        """Fresh metrics; only the first ``validation_images`` are attacked."""
        copy_to_ranks(self.model.buffers())
        self._scoring = self.new_scoring("val", self.model)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The target clean and under the validation attacks, the other tasks clean."""
        self._scoring.update(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the scores, and the one that chooses the best checkpoint as ``val/selection``."""
        scores = self._log_scores()
        self.log(SELECTION, self._scoring.selection(scores, self._selection_view), sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Fresh metrics."""
        self._scoring = self.new_scoring("test", self.model)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """The target clean and under the test attacks, the other tasks clean."""
        self._scoring.update(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log the scores."""
        self._log_scores()

    def _log_scores(self) -> dict[MetricName, float]:
        scores = self._scoring.compute()
        self.log_dict({str(name): value for name, value in scores.items()}, sync_dist=True)
        return scores
