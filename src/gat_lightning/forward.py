"""One forward pass of all tasks, each on the view of the image that it is meant to see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gat_lightning.batch import Batch, has_label
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.models import MultiTaskModel
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import Task

Transform = Callable[[Tensor], Tensor]


@dataclass
class Views:
    """A prepared batch: what is attacked, and what each task sees of it.

    Attributes:
        images: x, ``[B, C, H, W]``: plain with separate views, transformed by every f_t with a shared one.
        labels: labels of every task.
        transforms: f_t of the tasks that see their own copy f_t(x); the others see x itself.
    """

    images: Tensor
    labels: dict[str, Tensor]
    transforms: dict[str, Transform]


@dataclass
class ForwardPass:
    """Outputs and per-sample losses of every task for one version (clean or adversarial) of a batch.

    Attributes:
        images: x that the pass started from, ``[B, C, H, W]``.
        outputs: by task.
        losses: by task, ``[B]``, 0 where a label is missing.
        valid: by task, which samples have a label, bool ``[B]``.
        counts: by task, the number of valid labels in the joined batch, a scalar of at least 1.
    """

    images: Tensor
    outputs: dict[str, Tensor]
    losses: dict[str, Tensor]
    valid: dict[str, Tensor]
    counts: dict[str, Tensor]

    def mean_loss(self, task: str) -> Tensor:
        """This rank's part of the task's loss, Σ loss / N with N the valid labels of the joined batch."""
        return self.losses[task].sum() / self.counts[task]


def prepare_views(
    batch: Batch, tasks: Sequence[Task], generators: Callable[[str], BatchGenerator], separate: bool
) -> Views:
    """Step 2.1 of Algorithm 1: x <- f_t(x) for every self-supervised task, in the order given.

    Args:
        batch: plain images and the data set's labels.
        tasks: the target first.
        generators: makes the generator of a purpose, here the task's name.
        separate: give each self-supervised task its own copy f_t(x), and the others the plain x.
    """
    images, labels = batch.images, dict(batch.labels)
    transforms: dict[str, Transform] = {}
    for task in tasks:
        if separate and task.transforms:
            labels[task.name] = task.label(images, labels, generators(task.name))
            transforms[task.name] = partial(task.transform, label=labels[task.name])
        else:
            images, labels = task.prepare(images, labels, generators(task.name))
    return Views(images, labels, transforms)


def task_outputs(
    model: MultiTaskModel, images: Tensor, transforms: Mapping[str, Transform], tasks: Sequence[str]
) -> dict[str, Tensor]:
    """Outputs of the named tasks: one forward of all that see the image itself, then one for each that sees its own."""
    plain = [task for task in tasks if task not in transforms]
    outputs = model(images, plain) if plain else {}
    for task in tasks:
        if task in transforms:
            outputs |= model(transforms[task](images), [task])
    return {task: outputs[task] for task in tasks}


def forward_pass(model: MultiTaskModel, images: Tensor, views: Views, tasks: Sequence[Task]) -> ForwardPass:
    """Run every task on ``images``, the clean or the adversarial version of ``views.images``."""
    outputs = task_outputs(model, images, views.transforms, [task.name for task in tasks])
    losses = {task.name: task.loss(outputs[task.name], views.labels[task.name]) for task in tasks}
    valid = {task.name: has_label(views.labels[task.name]) for task in tasks}
    counts = sum_over_ranks(torch.stack([valid[task.name].sum() for task in tasks])).clamp(min=1)
    return ForwardPass(images, outputs, losses, valid, dict(zip(valid, counts, strict=True)))


class TaskProblem:
    """The inner maximisation of a training step: the summed loss of the attacked tasks, of each image.

    Args:
        model: the multi-task model.
        views: the prepared batch; self-supervised tasks see f_t of the perturbed image.
        tasks: the tasks under attack.
    """

    def __init__(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task]) -> None:
        self.module: nn.Module | None = model
        self._model = model
        self._views = views
        self._tasks = tasks

    def loss(self, images: Tensor) -> Tensor:
        """Loss of each sample, ``[B]``."""
        outputs = task_outputs(self._model, images, self._views.transforms, [task.name for task in self._tasks])
        losses = [task.loss(outputs[task.name], self._views.labels[task.name]) for task in self._tasks]
        return torch.stack(losses).sum(0)
