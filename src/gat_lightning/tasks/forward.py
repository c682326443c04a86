"""Forward pass of all tasks, each on its own input view."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gat_lightning.attacks.losses import DecisionLoss
from gat_lightning.attacks.problem import Problem
from gat_lightning.batch import decide, has_label
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.features import Encode
from gat_lightning.tasks import Task
from gat_lightning.tasks.views import Views


@dataclass
class ForwardPass:
    """Outputs and per-sample losses of every task for one version (clean or adversarial) of a batch.

    Attributes:
        images: x that the pass started from, ``[B, C, H, W]``.
        outputs: by task.
        losses: by task, ``[B]``, 0 where a label is missing.
        valid: by task, which samples have a label, bool ``[B]``.
        views: the prepared batch.
        encode: how the encoder was run.
        representation: what the encoder handed to the decoders, the tensors at which gradients of ``engine.space:
            representation`` are taken.
        for_curvature: another pass on the same images, which the curvature is taken of; this pass if None.
    """

    images: Tensor
    outputs: dict[str, Tensor]
    losses: dict[str, Tensor]
    valid: dict[str, Tensor]
    views: Views
    encode: Encode
    representation: list[Tensor] = field(default_factory=list)
    for_curvature: ForwardPass | None = None

    def mean_loss(self, task: str) -> Tensor:
        """This part's share of the task's loss, see :meth:`mean`."""
        return self.mean(task, self.losses[task])

    def mean(self, task: str, values: Tensor) -> Tensor:
        """This part's share of the mean of ``values`` ``[B]`` over the joined batch's samples that have the label."""
        return self.joint_mean([task], values)

    def joint_mean(self, tasks: Collection[str], values: Tensor) -> Tensor:
        """:meth:`mean` over the samples that have the labels of all these tasks, by their weights."""
        for task in dict.fromkeys(tasks):
            values = torch.where(self.valid[task], values, 0.0)
            if task in self.views.weights:
                values = self.views.weights[task] * values
        return values.sum() / self.views.counts[frozenset(tasks)]


def task_outputs(
    encode: Encode, model: MultiTaskModel, images: Tensor, views: Views, tasks: Sequence[str]
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Outputs of the named tasks, and the representation that their decoders got.

    One pass for all tasks that see the image itself, then one for each that sees its own copy.
    """
    plain = [task for task in tasks if task not in views.own]
    outputs: dict[str, Tensor] = {}
    representation: list[Tensor] = []
    for group in [plain, *([task] for task in tasks if task in views.own)]:
        if group:
            features = encode(views.of(group[0], images)).tapped()
            outputs |= model.decode(features, group)
            representation += [features.pooled, *features.stages]
    return {task: outputs[task] for task in tasks}, representation


def forward_pass(
    model: MultiTaskModel, images: Tensor, views: Views, tasks: Sequence[Task], encode: Encode | None = None
) -> ForwardPass:
    """Run every task on ``images``, the clean or the adversarial version of ``views.images``.

    Args:
        model: the multi-task model.
        images: ``[B, C, H, W]`` in [0, 1].
        views: the prepared batch.
        tasks: the target first.
        encode: how the encoder is run; the model's own way if None.
    """
    names = [task.name for task in tasks]
    encode = encode or model.encode
    outputs, representation = task_outputs(encode, model, images, views, names)
    losses = {task.name: views.loss(task.name, partial(task.loss, outputs[task.name])) for task in tasks}
    valid = {name: has_label(views.labels[name]) for name in names}
    return ForwardPass(images, outputs, losses, valid, views, encode, representation)


def representation(*passes: ForwardPass | None) -> list[Tensor]:
    """What the encoder handed to the decoders in some passes, of which those that were not made are None."""
    return [tensor for each in passes if each is not None for tensor in each.representation]


@runtime_checkable
class OutputsProblem(Problem, Protocol):
    """A problem whose loss follows from the outputs of tasks.

    Attributes:
        tasks: whose outputs the loss needs.
    """

    tasks: Sequence[Task]

    def loss_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Loss of each sample, ``[B]``, of images with these outputs."""
        ...


class TaskProblem:
    """The inner maximisation of a training step: the summed loss of the attacked tasks, of each image.

    Args:
        model: the multi-task model.
        views: the prepared batch; self-supervised tasks see f_t of the perturbed image.
        tasks: the tasks under attack.
        weights: of their losses, by name; 1 each if None.
        encode: how the encoder is run; the model's own way if None.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        views: Views,
        tasks: Sequence[Task],
        weights: Mapping[str, float] | None = None,
        encode: Encode | None = None,
    ) -> None:
        self.module: nn.Module | None = model
        self._model = model
        self._views = views
        self.tasks: Sequence[Task] = tasks
        self._weights = weights or {}
        self._encode = encode or model.encode

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """Outputs of the attacked tasks."""
        names = [task.name for task in self.tasks]
        return task_outputs(self._encode, self._model, images, self._views, names)[0]

    def loss(self, images: Tensor) -> Tensor:
        """Loss of each sample, ``[B]``, see :meth:`~gat_lightning.tasks.base.Task.attack_loss`."""
        return self.loss_of(self.outputs(images))

    def loss_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """That of images with these outputs."""
        return self._summed(outputs, lambda task, output: partial(task.attack_loss, output))

    def decision_loss(self, images: Tensor, loss: DecisionLoss) -> Tensor:
        """Another loss than the tasks' own of each sample, ``[B]``.

        Raises:
            ValueError: an attacked task has no classes.
        """
        return self.decision_loss_of(self.outputs(images), loss)

    def decision_loss_of(self, outputs: Mapping[str, Tensor], loss: DecisionLoss) -> Tensor:
        """That of images with these outputs."""
        return self._summed(outputs, lambda task, output: partial(loss, class_logits(task, output)))

    def _summed(
        self, outputs: Mapping[str, Tensor], loss_of: Callable[[Task, Tensor], Callable[[Tensor], Tensor]]
    ) -> Tensor:
        losses = [
            self._weights.get(task.name, 1.0) * self._views.loss(task.name, loss_of(task, outputs[task.name]))
            for task in self.tasks
        ]
        return torch.stack(losses).sum(0)


class DecisionProblem(TaskProblem):
    """The summed loss of the attacked tasks, and which images' target is misclassified.

    Args:
        model: the multi-task model.
        views: the prepared batch.
        target: a task with classes.
        attacked: the tasks under attack.
    """

    def __init__(self, model: MultiTaskModel, views: Views, target: Task, attacked: Sequence[Task]) -> None:
        super().__init__(model, views, attacked)
        self._decision = TaskProblem(model, views, [target])
        self._target = target
        self._labels = views.labels[target.name]

    def success(self, images: Tensor) -> Tensor:
        """Which images are misclassified, bool ``[B]``; never one without a label."""
        decided = decide(self._decision.outputs(images)[self._target.name])
        return (decided != self._labels) & has_label(self._labels)


def scored_problem(model: MultiTaskModel, views: Views, target: Task, attacked: Sequence[Task]) -> TaskProblem:
    """The problem of an attack whose images are scored: it says what is misclassified, if the target has classes."""
    if target.kind in ("multiclass", "binary"):
        return DecisionProblem(model, views, target, attacked)
    return TaskProblem(model, views, attacked)


def class_logits(task: Task, output: Tensor) -> Tensor:
    """Logits of a task's classes, ``[B, K]``.

    Raises:
        ValueError: it has none.
    """
    logits = task.logits(output)
    if logits is None:
        raise ValueError(f"The task '{task.name}' is {task.kind} and has no classes between which it decides.")
    return logits
