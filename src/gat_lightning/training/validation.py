"""Validation and test of a LightningModule: the target's scores, clean and under attack, and the other tasks'."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from gat_lightning.attacks import Attack
from gat_lightning.batch import Batch, pieces
from gat_lightning.distributed import copy_to_ranks
from gat_lightning.evaluation.doubts import OutputCheck, non_finite_outputs, zero_gradients
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.metrics import ImageOutcomes, OutputCounts
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.encoding import full_precision
from gat_lightning.randomness import BatchGenerator
from gat_lightning.runs.metric_names import CLEAN, SELECTION, MetricName
from gat_lightning.tasks import Task
from gat_lightning.tasks.base import labels_read
from gat_lightning.tasks.forward import scored_problem, task_outputs
from gat_lightning.tasks.views import Views, views_of

log = logging.getLogger(__name__)


class Scoring:
    """Collects metrics over batches: the target's for the view ``clean`` and one per attack, the others' for ``clean``.

    Images are plain but for a self-supervised task, which sees its own f_t of them.
    Each image counts once on any number of ranks: states are sums, added over ranks in :meth:`compute`.

    Args:
        model: in eval mode.
        tasks: the target first.
        attacks: by the name of the view.
        seed: of the attacks' random starts.
        split: name of the split, part of the random key.
        attacked_images: how many images, from the first of the split on, are attacked; all if None.
        micro_batch: most images that go through the model at once; all of a batch if None.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        tasks: Sequence[Task],
        attacks: Mapping[str, Attack],
        seed: int,
        split: str,
        attacked_images: int | None = None,
        micro_batch: int | None = None,
    ) -> None:
        self._model = model
        self._target, *self._auxiliary = tasks
        self._attacks = attacks
        self._key = (seed, split)
        self._limit = attacked_images
        self._micro_batch = micro_batch
        device = next(model.parameters()).device
        self._metrics: dict[tuple[str, str | None], MetricCollection] = {
            **{(view, None): self._target.metrics().to(device) for view in (CLEAN, *attacks)},
            **{(CLEAN, task.name): task.metrics().to(device) for task in self._auxiliary},
        }
        classes = 0 if self._target.kind == "regression" else max(self._target.outputs, 2)
        self._counts = {view: OutputCounts(classes).to(device) for view in (CLEAN, *attacks)}
        kept = (CLEAN, *attacks) if split == "test" and self._target.kind != "dense" else ()
        self._images = {view: ImageOutcomes(self._target.kind, self._target.scale).to(device) for view in kept}

    @torch.no_grad()
    def update(self, batch: Batch, batch_idx: int) -> None:
        """Score one batch under every test condition, in full precision."""
        with full_precision(batch.images.device):
            for rows in pieces(len(batch.images), self._micro_batch):
                self._update(batch[rows], batch_idx)

    def _update(self, batch: Batch, batch_idx: int) -> None:
        tasks = [self._target, *self._auxiliary]
        self._score(CLEAN, batch.images, self._views(batch, batch_idx, tasks), tasks, batch.index)
        attacked = self._within_limit(batch)
        if len(attacked.images) == 0:
            return
        views = self._views(attacked, batch_idx, [self._target])
        problem = scored_problem(self._model, views, self._target, [self._target])
        for view, attack in self._attacks.items():
            generator = BatchGenerator(attacked.shard, *self._key, batch_idx, view)
            adversarial = attack(problem, attacked.images, generator, in_range=attacked.in_range)
            self._score(view, adversarial, views, [self._target], attacked.index, attack.zero_gradient)

    def _views(self, batch: Batch, batch_idx: int, tasks: Sequence[Task]) -> Views:
        return views_of(batch, tasks, partial(BatchGenerator, batch.shard, *self._key, batch_idx), separate=True)

    def _score(
        self,
        view: str,
        images: Tensor,
        views: Views,
        tasks: Sequence[Task],
        index: Tensor,
        zero_gradient: Tensor | None = None,
    ) -> None:
        """The target's output, and the auxiliary tasks', for the clean or the adversarial version of the images."""
        outputs, _ = task_outputs(self._model.encode, self._model, images, views, [task.name for task in tasks])
        for task in tasks:
            key = None if task is self._target else task.name
            self._metrics[view, key].update(outputs[task.name], views.labels[task.name])
        output, label = outputs[self._target.name], views.labels[self._target.name]
        self._counts[view].update(output, label, zero_gradient)
        if view in self._images:
            self._images[view].update(output, label, index)

    def compute(self) -> dict[MetricName, float]:
        """The value of every score, the same on every rank."""
        split = self._key[1]
        return {
            MetricName(split, view, metric, task): float(value)
            for (view, task), metrics in self._metrics.items()
            for metric, value in metrics.compute().items()
        }

    def checks(self) -> dict[str, OutputCheck]:
        """What the target's outputs are, by test condition, the same on every rank."""
        checks = {}
        for view, counts in self._counts.items():
            images, non_finite, decided, labelled, zero = counts.compute()
            share = None if zero.isnan() else float(zero)
            checks[view] = OutputCheck(int(images), int(non_finite), decided.tolist(), labelled.tolist(), share)
        return checks

    def predictions(self) -> Predictions | None:
        """What the target's outputs for the images of a test are, the same on every rank; None of a dense target.

        Losses are left out, and so are the predicted classes.
        """
        found: Predictions | None = None
        for view, outcomes in self._images.items():
            index, labels, score, correct = (each.numpy() for each in outcomes.compute())
            found = found or Predictions(self._target.kind, index, labels)
            found.views[view] = Outcomes(score, correct, np.zeros_like(score), score)
        return found

    def selection(self, scores: Mapping[MetricName, float], view: str) -> float:
        """The target's first metric under a test condition, negated where lower is better."""
        name, metric = next(iter(self._target.metrics().items()))
        value = scores[MetricName(self._key[1], view, name)]
        return value if metric.higher_is_better else -value

    def _within_limit(self, batch: Batch) -> Batch:
        if self._limit is None:
            return batch
        return batch[0 : int((batch.index < self._limit).sum())]


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

    Attributes:
        checks: what the target's outputs were in the last validation or test, by view.
        predictions: what they were for each image of the last test; None before one, and of a dense target.
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
        self.checks: dict[str, OutputCheck] = {}
        self.predictions: Predictions | None = None
        self._warned: set[str] = set()

    @property
    def selection_limit(self) -> int | None:
        """How many images of the validation split choose the best checkpoint; all if None."""
        return None if self._selection_view == CLEAN else self._attacked_images["val"]

    @property
    def labels_read(self) -> Collection[str] | None:
        """Names of the data's labels that the tasks look up; a data module leaves out the others. None for all."""
        return labels_read(self.tasks)

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
        """Log the scores, and the one that chooses the best checkpoint as ``val/selection``.

        Warn once for each view of outputs that are NaN or infinite, or of attacks whose gradient was zero.
        """
        scores = self._log_scores()
        new = {view: check for view, check in self.checks.items() if view not in self._warned}
        doubts = {view: non_finite_outputs(check) or zero_gradients(check) for view, check in new.items()}
        for view, doubt in doubts.items():
            if doubt is not None and self.trainer.is_global_zero:
                log.warning("val/%s in epoch %d: %s.", view, self.current_epoch + 1, doubt)
                self._warned.add(view)
        self.log(SELECTION, self._scoring.selection(scores, self._selection_view), sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Fresh metrics."""
        self._scoring = self.new_scoring("test", self.model)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """The target clean and under the test attacks, the other tasks clean."""
        self._scoring.update(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log the scores, and keep the outcomes."""
        self._log_scores()
        self.predictions = self._scoring.predictions()

    def _log_scores(self) -> dict[MetricName, float]:
        scores = self._scoring.compute()
        self.checks = self._scoring.checks()
        self.log_dict({str(name): value for name, value in scores.items()}, sync_dist=True)
        return scores
