"""Pseudo-labels: a teacher's labels in place of the target's missing ones, in training batches alone."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gat_lightning.batch import MISSING, Batch, has_label, pieces
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.encoding import full_precision
from gat_lightning.tasks import Task


@dataclass(frozen=True)
class Labelling:
    """How a teacher's outputs become labels of the target.

    Attributes:
        confidence: probability of the likeliest class below which an image stays without a label.
        soft: whether labels are the probabilities themselves.
        weight: of an image with such a label in the target's losses, against 1 of a labelled image; above 0.
    """

    confidence: float = 0.0
    soft: bool = False
    weight: float = 1.0

    def labels(self, probabilities: Tensor) -> Tensor:
        """Labels of samples with probabilities ``[n, K]`` of the classes, K = 2 for a binary target.

        Returns:
            Classes ``[n]`` long, -1 where there is no label; with :attr:`soft` the probabilities ``[n, K]``, NaN where
            there is none.
        """
        highest, likeliest = probabilities.max(1)
        sure = highest >= self.confidence  # never so where the teacher answers NaN
        if not self.soft:
            return torch.where(sure, likeliest, MISSING)
        return torch.where(sure[:, None], probabilities, torch.nan)

    def fill(self, batch: Batch, target: Task, labels: Tensor) -> Batch:
        """The batch with labels of the target where it has none.

        Args:
            batch: of a training.
            target: with classes.
            labels: what :meth:`labels` returned, of these samples.
        """
        own = batch.labels[target.name]
        lacking = ~has_label(own)
        if self.soft:
            own = _probabilities(own, labels.shape[1])
            filled = torch.where(lacking[:, None], labels.to(own.device), own)
            filled = filled[:, 1] if target.kind == "binary" else filled
        else:
            filled = torch.where(lacking, labels.to(own), own)
        weights = {} if self.weight == 1 else {target.name: torch.where(lacking, self.weight, 1.0).to(batch.images)}
        every = {**batch.labels, target.name: filled}
        return replace(batch, labels=every, unlabelled=lacking, weights={**batch.weights, **weights})


class PseudoLabels:
    """Labels that stand in for missing ones in a training; these are none.

    Attributes:
        summary: what is known of the teacher and its labels, for ``result.json``.
    """

    def __init__(self) -> None:
        self.summary: dict[str, Any] = {}

    def __call__(self, batch: Batch) -> Batch:
        """The batch with the labels in the places of missing ones."""
        return batch

    def setup(self, trainer: pl.Trainer) -> None:
        """Called at the beginning of a training, on every rank."""

    def state(self) -> str:
        """What a checkpoint keeps to tell these labels from others."""
        return ""

    def check_state(self, state: str) -> None:
        """Raise `UserError` if the training of a checkpoint had other labels."""


class TargetLabels(PseudoLabels, ABC):
    """Labels of the target.

    Args:
        target: with classes.
        labelling: how a teacher's outputs become labels.
    """

    def __init__(self, target: Task, labelling: Labelling) -> None:
        super().__init__()
        self.target, self.labelling = target, labelling

    def __call__(self, batch: Batch) -> Batch:
        """The batch with the labels of the teacher where the target's are missing."""
        return self.labelling.fill(batch, self.target, self.labels(batch))

    @abstractmethod
    def labels(self, batch: Batch) -> Tensor:
        """A label of every sample, see :meth:`Labelling.labels`."""


class AverageLabels(TargetLabels):
    """Labels of the average of the weights in training, given anew in each step, for the images of the step.

    The average is in eval mode, with the running statistics that the model in training has then, so that labels follow
    from what checkpoints keep. Nothing is changed or drawn.

    Args:
        target: with classes.
        labelling: how the average's probabilities become labels.
        model: the model in training.
        name: of the average.
        micro_batch: most images that go through the model at once; all of a batch if None.

    Attributes:
        averages: the model's averages by name, which a training puts here when it begins.
    """

    def __init__(
        self,
        target: Task,
        labelling: Labelling,
        model: MultiTaskModel,
        name: str = "ema",
        micro_batch: int | None = None,
    ) -> None:
        super().__init__(target, labelling)
        self.summary = {"teacher": name}
        self.averages: dict[str, nn.Module] = {}
        self._model, self._name, self._micro_batch = model, name, micro_batch

    @torch.no_grad()
    def labels(self, batch: Batch) -> Tensor:
        """What the average says of the augmented images."""
        average, buffers = self.averages[self._name], dict(self._model.named_buffers())
        with full_precision(batch.images.device):
            outputs = [
                functional_call(average, buffers, (batch.images[rows], [self.target.name]))[self.target.name]
                for rows in pieces(len(batch.images), self._micro_batch)
            ]
        return self.labelling.labels(class_probabilities(self.target, torch.cat(outputs)))


def class_probabilities(target: Task, output: Tensor) -> Tensor:
    """Probabilities ``[B, K]`` of a target's classes, float32; K = 2 for a binary target."""
    logs = target.log_probabilities(output.float())
    assert logs is not None
    return logs.exp()


def _probabilities(label: Tensor, classes: int) -> Tensor:
    """Probabilities ``[B, classes]`` of known classes ``[B]`` long, NaN where they are missing."""
    one_hot = nn.functional.one_hot(label.clamp(min=0), classes).float()
    return torch.where(has_label(label)[:, None], one_hot, torch.nan)
