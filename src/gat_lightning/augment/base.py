"""Base class of augmentations, whose random values depend on (seed, epoch, sample)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from gat_lightning.batch import Batch
from gat_lightning.distributed import to_device
from gat_lightning.randomness import BatchGenerator, generator_for

Generators = Callable[[str], BatchGenerator]
"""Makes the generator of a purpose within a step."""

# Tables of random values: a batch of two parts has samples of at most four visits.
_KEPT = 4

LossOf = Callable[[Tensor, dict[str, Tensor]], Tensor]
"""(images ``[B, C, H, W]``, labels by name) -> the target's loss on each image, ``[B]``, without a graph."""


class Augmentation(ABC):
    """A random change of training images that keeps their labels.

    Of single images first, anywhere in the data's pipeline: all randomness is in :meth:`draw`, and the call is a pure
    function of images and drawn values. Then, in :meth:`at_step`, of the batch as a whole.

    Attributes:
        needs_target: whether :meth:`at_step` asks for the target's loss.
    """

    needs_target: ClassVar[bool] = False

    @abstractmethod
    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """Random values for every sample of the split, one row each: ``[samples, k]``, on the CPU."""

    @abstractmethod
    def __call__(self, images: Tensor, values: Tensor) -> Tensor:
        """Augmented images.

        Args:
            images: float ``[B, C, H, W]`` in [0, 1].
            values: these images' rows of :meth:`draw`, ``[B, k]``, on the images' device.

        Returns:
            New images of the same shape, dtype and range.
        """

    def check(self, has_target: bool) -> None:
        """Raise `ValueError` if the loss of a target is needed and there is no target."""
        if self.needs_target and not has_target:
            raise ValueError(
                f"{type(self).__name__} looks at the loss of a target, and there is no target: choose one, or another"
                " augmentation, such as the standard one."
            )

    def at_step(self, batch: Batch, generators: Generators, loss_of: LossOf) -> Batch:
        """What a training step is made on: the batch itself, or a mixture of its images.

        Args:
            batch: this process's part of the joined batch, on the device, its images augmented one by one.
            generators: random numbers of this step.
            loss_of: the target's loss on clean images.
        """
        return batch


class Identity(Augmentation):
    """No augmentation."""

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """Nothing: ``[samples, 0]``."""
        return torch.empty(samples, 0, dtype=torch.long)

    def __call__(self, images: Tensor, values: Tensor) -> Tensor:
        """The images themselves."""
        return images


class EpochAugmenter:
    """Augments any part of a split, in any order, so that an image depends only on (seed, epoch, sample, visit).

    Args:
        augmentation: what to do with the images.
        samples: number of samples in the split.
        seed: of the run.
    """

    def __init__(self, augmentation: Augmentation, samples: int, seed: int) -> None:
        self.augmentation, self.samples, self.seed = augmentation, samples, seed
        self._tables: dict[tuple[int, int], Tensor] = {}

    def __call__(self, images: Tensor, index: Tensor, epoch: int, visits: Tensor | None = None) -> Tensor:
        """Augmented images.

        Args:
            images: ``[B, C, H, W]``.
            index: positions of the samples in the split, ``[B]``.
            epoch: from 0.
            visits: how often each sample came before in the epoch, ``[B]`` on the CPU; never if None.
        """
        if visits is None:
            return self.augmentation(images, self._table(epoch, 0, index.device)[index])
        parts, order = [], []
        for visit in visits.unique().tolist():
            rows = (visits == visit).nonzero().flatten()
            parts.append(self._table(epoch, visit, index.device)[index[to_device(rows, index.device)]])
            order.append(rows)
        return self.augmentation(images, torch.cat(parts)[to_device(torch.cat(order).argsort(), index.device)])

    def _table(self, epoch: int, visit: int, device: torch.device) -> Tensor:
        """Random values of every sample, ``[samples, k]``, for a visit of an epoch."""
        key = epoch, visit
        table = self._tables.pop(key, None)
        if table is None:
            later = (visit,) if visit else ()
            table = self.augmentation.draw(self.samples, generator_for(self.seed, epoch, "augment", *later))
        self._tables[key] = table = to_device(table, device)
        if len(self._tables) > _KEPT:
            del self._tables[next(iter(self._tables))]
        return table
