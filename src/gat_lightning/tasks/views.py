"""Views of a batch: each task's images, labels and number of labelled samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from gat_lightning.batch import MISSING, Batch, Mixed, has_label, pieces
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Task
from gat_lightning.tasks.base import check_set_up

UNLABELLED = "/unlabelled"
"""In the place of a task's name: having no label of the target."""


@dataclass
class Views:
    """A prepared batch: what is attacked, and what each task sees of it.

    Attributes:
        images: x, ``[B, C, H, W]``: plain with separate input views, transformed by every f_t with a shared one.
        labels: labels of every task.
        own: the tasks that see their own copy f_t(x); the others see x itself.
        unlabelled: which samples have no label of the target of their own, bool ``[B]``.
        counts: samples of the *joined* batch that have the labels of all these tasks, each by its weights, a scalar; 1
            if none has: for every task and every pair of tasks. For :data:`UNLABELLED`, those without a label of the
            target of their own.
        shard: which part of the joined batch this is.
        mixed: what else the images were made of, if each is a mixture of two.
        in_range: whether the images are known to be in [0, 1].
        weights: of the samples in the losses of a task, ``{name: tensor [B]}``; 1 each in those of the others.
    """

    images: Tensor
    labels: dict[str, Tensor]
    own: dict[str, Task] = field(default_factory=dict)
    counts: dict[frozenset[str], Tensor] = field(default_factory=dict)
    shard: Shard | None = None
    mixed: Mixed | None = None
    in_range: bool = False
    unlabelled: Tensor | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    def of(self, task: str, images: Tensor) -> Tensor:
        """What a task sees of ``images``, the clean or the adversarial version of :attr:`images`."""
        return self.own[task].transform(images, self.labels[task]) if task in self.own else images

    def loss(self, task: str, loss_for: Callable[[Tensor], Tensor]) -> Tensor:
        """A loss ``[B]`` for the labels of a task; for both labels, in their shares, of a mixture.

        Args:
            task: name.
            loss_for: labels ``[B]`` -> loss ``[B]``, 0 where a label is missing.
        """
        loss = loss_for(self.labels[task])
        if self.mixed is None or task not in self.mixed.labels:
            return loss
        share = self.mixed.share_of(task)
        return share * loss + (1 - share) * loss_for(self.mixed.labels[task])

    def parts(self, size: int | None) -> Iterator[Views]:
        """Micro-batches of at most ``size`` samples, or the whole where None; counts stay those of the joined batch."""
        if size is None or size >= len(self.images):
            yield self
            return
        assert self.shard is not None
        for piece in pieces(len(self.images), size):
            labels = {name: label[piece] for name, label in self.labels.items()}
            mixed = None if self.mixed is None else self.mixed[piece]
            part = self.shard.piece(piece)
            unlabelled = None if self.unlabelled is None else self.unlabelled[piece]
            weights = {name: weight[piece] for name, weight in self.weights.items()}
            yield replace(
                self,
                images=self.images[piece],
                labels=labels,
                shard=part,
                mixed=mixed,
                unlabelled=unlabelled,
                weights=weights,
            )


def prepare_views(
    batch: Batch, tasks: Sequence[Task], generators: Callable[[str], BatchGenerator], separate: bool
) -> Views:
    """:func:`views_of` a batch, with the counts of the joined batch's labels: called once on every rank.

    Args:
        batch: plain images and the data set's labels.
        tasks: the target first.
        generators: makes the generator of a purpose, here the task's name.
        separate: give each self-supervised task its own copy f_t(x), and the others the plain x.
    """
    views, names = views_of(batch, tasks, generators, separate), [task.name for task in tasks]
    assert views.unlabelled is not None
    labels = {**views.labels, UNLABELLED: torch.where(views.unlabelled, 0, MISSING)}
    views.counts = joint_counts(labels, [*names, UNLABELLED], views.images.dtype, views.weights)
    return views


def views_of(batch: Batch, tasks: Sequence[Task], generators: Callable[[str], BatchGenerator], separate: bool) -> Views:
    """Step 2.1 of Algorithm 1: x <- f_t(x) for every self-supervised task, in the order given; then dense labels.

    Dense tasks come last, whatever the order, since their labels are of the image that the network sees. Those that
    come with the data are rearranged as the image is. Nothing is counted.

    Args:
        batch: plain images and the data set's labels.
        tasks: the target first.
        generators: makes the generator of a purpose, here the task's name.
        separate: give each self-supervised task its own copy f_t(x), and the others the plain x.

    Raises:
        ValueError: a task has not been set up.
    """
    check_set_up(tasks)
    images, labels = batch.images, dict(batch.labels)
    own: dict[str, Task] = {}
    for task in sorted(tasks, key=lambda task: task.kind == "dense"):
        label = task.label(images, labels, generators(task.name))
        if separate and task.transforms:
            own[task.name] = task
        else:
            images = task.transform(images, label)
            labels = {name: task.transform(each, label) if each.dim() == 4 else each for name, each in labels.items()}
        labels[task.name] = label
    unlabelled = ~has_label(labels[tasks[0].name]) if batch.unlabelled is None else batch.unlabelled
    return Views(
        images,
        labels,
        own,
        shard=batch.shard,
        mixed=batch.mixed,
        in_range=batch.in_range,
        unlabelled=unlabelled,
        weights=batch.weights,
    )


def joint_counts(
    labels: dict[str, Tensor], tasks: Sequence[str], dtype: torch.dtype, weights: Mapping[str, Tensor] | None = None
) -> dict[frozenset[str], Tensor]:
    """How many samples of the joined batch have the label of a task, or of both tasks of a pair; 1 where none has.

    A sample counts by its weight in the losses of the task, or the product of both tasks' weights.
    """
    weights = weights or {}
    valid = torch.stack([has_label(labels[task]) for task in tasks]).double()
    weighted = torch.stack([row * weights.get(task, 1) for task, row in zip(tasks, valid, strict=True)])
    table = weighted @ weighted.T
    table.diagonal().copy_((weighted * valid).sum(1))
    table = sum_over_ranks(table)
    table = torch.where(table > 0, table, 1).to(dtype)
    pairs = combinations_with_replacement(range(len(tasks)), 2)
    return {frozenset((tasks[j], tasks[k])): table[j, k] for j, k in pairs}
