"""Base class of tasks: preparation of a batch, decoder, loss and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from gat_lightning.attacks import losses
from gat_lightning.batch import has_label
from gat_lightning.randomness import BatchGenerator

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from gat_lightning.info import DataInfo
    from gat_lightning.models.features import FeatureInfo


Kind = Literal["multiclass", "binary", "regression", "dense"]


class Task(ABC):
    """A task with a name, under which its label, its decoder and its objectives are found.

    Life of a task: made from configuration, then :meth:`setup` once with what is known of the data, then used.

    Attributes:
        name: of its label, its decoder and its objectives.
        kind: of target: what an attack on it and a score of it can mean.
        is_set_up: whether :meth:`setup` was called.
    """

    name: str
    kind: Kind
    is_set_up = False

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if {"label", "wanted"} & vars(cls).keys() and "labels_read" not in vars(cls):
            cls.labels_read = None  # type: ignore[assignment, method-assign]
        if "setup" in vars(cls):
            cls.setup = _noted(cls.setup)  # type: ignore[assignment, method-assign]

    @property
    def outputs(self) -> int:
        """Width of the last linear layer of a classifier whose target this task is, known after :meth:`setup`."""
        return 1

    @property
    def scale(self) -> float:
        """What outputs and labels of a regression have to be multiplied with to be in the label's unit."""
        return 1.0

    @abstractmethod
    def setup(self, data: DataInfo) -> None:
        """Learn the number of classes and the like from the data.

        Raises:
            ValueError: the data cannot serve this task (no such label, images that are not square, ...).
        """

    def begin(self) -> None:  # noqa: B027
        """Called before training: get what labels are made with, so that what is missing is said early.

        Raises:
            ValueError: it cannot be had.
        """

    @property
    def labels_read(self) -> Collection[str] | None:
        """Names of the data's labels that :meth:`label` looks up.

        None, and so all of them, for a subclass that makes labels in its own way and does not say what it reads.
        """
        return (self.name,)

    def label(self, images: Tensor, labels: dict[str, Tensor], generator: BatchGenerator) -> Tensor:
        """This task's label for every sample, drawn or looked up. Images ``[B, C, H, W]`` in [0, 1]."""
        return labels[self.name]

    def transform(self, images: Tensor, label: Tensor) -> Tensor:
        """Input processing f_t of Algorithm 1 for given labels: ``[B, C, H, W]`` to the same shape; differentiable."""
        return images

    @property
    def transforms(self) -> bool:
        """Whether :meth:`transform` changes the images (a self-supervised task)."""
        return type(self).transform is not Task.transform

    def prepare(
        self, images: Tensor, labels: dict[str, Tensor], generator: BatchGenerator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Images as this task shows them, and the labels with its own added; vectorised, on the images' device.

        Raises:
            ValueError: the task has not been set up.
        """
        check_set_up([self])
        label = self.label(images, labels, generator)
        return self.transform(images, label), {**labels, self.name: label}

    @abstractmethod
    def decoder(self, features: FeatureInfo) -> nn.Module:
        """A new head θ^t for features of the described shape."""

    @abstractmethod
    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        """Loss of each sample, ``[B]``; exactly 0, with zero gradient, where the label is missing."""

    def attack_loss(self, output: Tensor, label: Tensor) -> Tensor:
        """What attacks increase, ``[B]``: :meth:`loss`, unless its gradient vanishes where an output is confident."""
        return self.loss(output, label)

    def log_probabilities(self, output: Tensor) -> Tensor | None:
        """Log-probability of each class, ``[B, K]``; None for a task without classes."""
        return None

    def logits(self, output: Tensor) -> Tensor | None:
        """Logit of each class, ``[B, K]``; None for a task without classes."""
        return self.log_probabilities(output)

    def divergence(self, reference: Tensor, output: Tensor) -> Tensor:
        """How far outputs are from the ``reference`` ones of the same samples, ``[B]``, at least 0; differentiable.

        For a task with classes KL(reference || output) of their probabilities (Zhang et al., 2019), else the mean
        absolute difference.
        """
        from_classes, to_classes = self.log_probabilities(reference), self.log_probabilities(output)
        if from_classes is None or to_classes is None:
            return (output - reference).abs().flatten(1).mean(1)
        return (from_classes.exp() * (from_classes - to_classes)).sum(1)

    def attack_divergence(self, reference: Tensor, output: Tensor) -> Tensor:
        """What attacks on the divergence increase: :meth:`divergence`, with a gradient that keeps its direction.

        Only the gradient with respect to ``output`` is right.
        """
        before, after = self.logits(reference), self.logits(output)
        if before is None or after is None or type(self).divergence is not Task.divergence:
            return self.divergence(reference, output)
        return losses.divergence(before, after)

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Fresh torchmetrics, fed with ``(output, label)`` of samples that have a label."""

    def state(self) -> dict[str, Tensor]:
        """State needed to interpret the outputs, kept in checkpoints (jigsaw's permutations)."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Take back what :meth:`state` gave."""


def check_set_up(tasks: Iterable[Task]) -> None:
    """Raise `ValueError` for the first task that does not know the data yet; says how it learns of them."""
    for task in tasks:
        if not task.is_set_up:
            raise ValueError(
                f"The task '{task.name}' has not been set up: call task.setup(data.info) before it is used, or"
                " attach_tasks(model, tasks, image=(C, H, W)), which does it."
            )


def labels_read(tasks: Iterable[Task]) -> Collection[str] | None:
    """Names of the data's labels that some tasks look up; None if that is unknown of one."""
    read = [task.labels_read for task in tasks]
    known = [names for names in read if names is not None]
    return {name for names in known for name in names} if len(known) == len(read) else None


def _noted(setup: Callable[[Any, DataInfo], None]) -> Callable[[Any, DataInfo], None]:
    @wraps(setup)
    def noted(task: Task, data: DataInfo) -> None:
        setup(task, data)
        task.is_set_up = True

    return noted


def masked(loss: Tensor, label: Tensor) -> Tensor:
    """``loss`` ``[B]`` with samples that have no label set to 0 and cut from the graph."""
    return torch.where(has_label(label), loss, torch.zeros_like(loss))
