"""Clean and robust metrics of the target task, on plain images that no task transforms."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from gat_lightning.attacks import Attack
from gat_lightning.batch import Batch, pieces
from gat_lightning.forward import TaskProblem, Views
from gat_lightning.models import MultiTaskModel
from gat_lightning.passes import full_precision
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import Task


class Scoring:
    """Collects the target's metrics over batches, for the view ``clean`` and one view per attack.

    Each image counts once on any number of ranks: states are sums, added over ranks in :meth:`compute`.

    Args:
        model: in eval mode; only the target's head is used.
        target: the task.
        attacks: by the name of the view.
        seed: of the attacks' random starts.
        split: name of the split, part of the random key.
        attacked_images: how many images, from the first of the split on, are attacked; all if None.
        micro_batch: most images that go through the model at once; all of a batch if None.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        target: Task,
        attacks: Mapping[str, Attack],
        seed: int,
        split: str,
        attacked_images: int | None = None,
        micro_batch: int | None = None,
    ) -> None:
        self._model = model
        self._target = target
        self._attacks = attacks
        self._key = (seed, split)
        self._limit = attacked_images
        self._micro_batch = micro_batch
        device = next(model.parameters()).device
        self._metrics: dict[str, MetricCollection] = {view: target.metrics().to(device) for view in ("clean", *attacks)}

    @torch.no_grad()
    def update(self, batch: Batch, batch_idx: int) -> None:
        """Score one batch in every view, in full precision."""
        with full_precision(batch.images.device):
            for rows in pieces(len(batch.images), self._micro_batch):
                self._update(batch[rows], batch_idx)

    def _update(self, batch: Batch, batch_idx: int) -> None:
        self._score("clean", batch.images, self._views(batch, batch_idx))
        attacked = self._within_limit(batch)
        if len(attacked.images) == 0:
            return
        views = self._views(attacked, batch_idx)
        problem = TaskProblem(self._model, views, [self._target])
        for view, attack in self._attacks.items():
            generator = BatchGenerator(attacked.shard, *self._key, batch_idx, view)
            self._score(view, attack(problem, attacked.images, generator), views)

    def _views(self, batch: Batch, batch_idx: int) -> Views:
        """The images, and what the target sees of them if it makes its own labels."""
        name = self._target.name
        if not self._target.transforms:
            return Views(batch.images, batch.labels)
        generator = BatchGenerator(batch.shard, *self._key, batch_idx, name)
        label = self._target.label(batch.images, batch.labels, generator)
        return Views(batch.images, {**batch.labels, name: label}, {name: self._target})

    def compute(self) -> dict[str, float]:
        """``{"view/metric": value}``, the same on every rank."""
        return {
            f"{view}/{name}": float(value)
            for view, metrics in self._metrics.items()
            for name, value in metrics.compute().items()
        }

    def selection(self, scores: Mapping[str, float], view: str) -> float:
        """The task's first metric in a view, as a figure of which more is better."""
        name, metric = next(iter(self._target.metrics().items()))
        value = scores[f"{view}/{name}"]
        return value if metric.higher_is_better else -value

    def _score(self, view: str, images: Tensor, views: Views) -> None:
        name = self._target.name
        self._metrics[view].update(self._model(views.of(name, images), [name])[name], views.labels[name])

    def _within_limit(self, batch: Batch) -> Batch:
        if self._limit is None:
            return batch
        return batch[0 : int((batch.index < self._limit).sum())]
