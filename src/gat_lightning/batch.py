"""Batches: images in [0, 1] and labels by task name; decisions on them, which only finite outputs make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gat_lightning.distributed import to_device
from gat_lightning.randomness import Shard

MISSING = -1
"""The label of a sample whose class is unknown; missing floats are NaN."""

UNDECIDED = -2
"""The decision on a sample with a NaN or infinite output. It is no class and no label, not even a missing one."""


@dataclass
class Mixed:
    """What else images were made of, each being a mixture of two (CutMix, mixup).

    Attributes:
        labels: of the other image, by name; only labels that come with the data.
        share: of the image's own labels in the loss, ``[B]`` in [0, 1].
        weighted: the same by the name of a label whose samples have weights, which count in it.
    """

    labels: dict[str, Tensor]
    share: Tensor
    weighted: dict[str, Tensor] = field(default_factory=dict)

    def share_of(self, name: str) -> Tensor:
        """Share of the image's own label in the loss by that label, ``[B]``."""
        return self.weighted.get(name, self.share)

    def __getitem__(self, piece: slice) -> Mixed:
        """Of some of the images."""
        return self._each(lambda values: values[piece])

    def to(self, device: torch.device | str) -> Mixed:
        """A copy with every tensor on ``device``."""
        return self._each(lambda values: to_device(values, device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Mixed:
        labels, weighted = (
            {name: change(values) for name, values in each.items()} for each in (self.labels, self.weighted)
        )
        return Mixed(labels, change(self.share), weighted)


@dataclass
class Batch:
    """One process's part of a joined batch.

    Attributes:
        images: float32 ``[B, C, H, W]`` in [0, 1]; normalisation is the model's first layer.
        labels: ``{name: tensor}``; class index ``[B]`` long, regression ``[B]`` float, dense ``[B, c, h, w]`` float.
            Pseudo-labels may be probabilities, ``[B, K]`` float of classes and ``[B]`` float of a binary label. A
            missing label is -1 (long) or NaN (float) and contributes to no loss and no metric.
        index: position of each sample in its split, ``[B]`` long.
        shard: which part of the joined batch this is.
        mixed: what else the images were made of, if each is a mixture of two.
        in_range: whether the images are known to be in [0, 1], so that attacks need not look, which waits for a GPU.
        unlabelled: which samples have no label of the target of their own, bool ``[B]``, where a teacher has given them
            one; None where a missing label says it.
        visits: how often each sample came before in the epoch, ``[B]`` long on the CPU; None if none did.
        weights: of the samples in the losses by a label, ``{name: tensor [B]}``; 1 each by those that are not named.
    """

    images: Tensor
    labels: dict[str, Tensor]
    index: Tensor
    shard: Shard
    mixed: Mixed | None = None
    in_range: bool = False
    visits: Tensor | None = None
    unlabelled: Tensor | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, rows: slice) -> Batch:
        """Some of its samples: a slice with a start and a stop."""
        return replace(
            self,
            images=self.images[rows],
            labels={name: label[rows] for name, label in self.labels.items()},
            index=self.index[rows],
            shard=self.shard.piece(rows),
            mixed=None if self.mixed is None else self.mixed[rows],
            visits=None if self.visits is None else self.visits[rows],
            unlabelled=None if self.unlabelled is None else self.unlabelled[rows],
            weights={name: weight[rows] for name, weight in self.weights.items()},
        )

    def to(self, device: torch.device | str) -> Batch:
        """A copy with every tensor but the visits on ``device``, made without waiting for a GPU."""
        labels = {name: to_device(label, device) for name, label in self.labels.items()}
        images, index = to_device(self.images, device), to_device(self.index, device)
        mixed = None if self.mixed is None else self.mixed.to(device)
        unlabelled = None if self.unlabelled is None else to_device(self.unlabelled, device)
        weights = {name: to_device(weight, device) for name, weight in self.weights.items()}
        return replace(
            self, images=images, labels=labels, index=index, mixed=mixed, unlabelled=unlabelled, weights=weights
        )

    def moved(self, move: Callable[[Tensor], Tensor]) -> Batch:
        """A copy whose images and dense labels ``[B, c, h, w]`` are what ``move`` makes of them."""
        labels = {name: move(label) if label.dim() == 4 else label for name, label in self.labels.items()}
        return replace(self, images=move(self.images), labels=labels)


def pieces(total: int, most: int | None) -> list[slice]:
    """Where to cut ``total`` samples into the fewest micro-batches of at most ``most``; one of all where None.

    Their sizes differ by one sample at most, so that BatchNorm takes no statistics of a small rest.
    """
    count = -(-total // most) if most and total else 1
    return [slice(part * total // count, (part + 1) * total // count) for part in range(count)]


def has_label(label: Tensor) -> Tensor:
    """Which samples have a label: bool ``[B]``. A dense label counts when every element is present."""
    present = ~label.isnan() if label.is_floating_point() else label != MISSING
    return present.flatten(1).all(1) if present.dim() > 1 else present


def missing_value(label: Tensor) -> float:
    """What stands for a missing label of this one's type: -1 for integers, NaN for floats."""
    return float("nan") if label.is_floating_point() else MISSING


def missing_labels(label: Tensor, count: int) -> Tensor:
    """``count`` missing labels like those of ``label`` ``[B, ...]``: ``[count, ...]``."""
    return label.new_full((count, *label.shape[1:]), missing_value(label))


def unit_range(maps: Tensor) -> Tensor:
    """Each map ``[B, 1, H, W]`` shifted and scaled to [0, 1]; 0 if it is constant, NaN if a value is not finite."""
    least = maps.amin((1, 2, 3), keepdim=True)
    extent = maps.amax((1, 2, 3), keepdim=True) - least
    return (maps - least) / torch.where(extent == 0, 1, extent)


def is_finite(output: Tensor) -> Tensor:
    """Which samples have finite outputs only, ``[B, ...]`` -> bool ``[B]``."""
    return output.isfinite().flatten(1).all(1)


def decide(logits: Tensor) -> Tensor:
    """The class that a classifier decides for, long ``[B]``.

    Args:
        logits: ``[B, K]``, of which the highest decides; or one logit ``[B, 1]``, which decides for class 1 above 0 and
            for class 0 otherwise.

    Returns:
        The class of each sample; :data:`UNDECIDED` if any of its logits is NaN or infinite.
    """
    classes = (logits.squeeze(1) > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
    return classes.where(is_finite(logits), UNDECIDED)


def decision_name(classes: Sequence[str], decision: int) -> str:
    """The name of a decided class, or "no class"."""
    return "no class" if decision == UNDECIDED else classes[decision]
