"""Base class of CutMix and Mixup, which mix two images of a batch."""

from abc import abstractmethod
from dataclasses import replace

import torch
from scipy.special import betaincinv
from torch import Tensor

from gat_lightning.augment.base import Augmentation, Generators, LossOf
from gat_lightning.batch import Batch, Mixed, has_label, missing_value
from gat_lightning.distributed import sum_over_ranks, to_device
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.validate import check_real


class PairMixing(Augmentation):
    """Mixes each image with another one of the joined batch; the labels of both count, in the images' shares.

    All labels that come with the data are mixed, those of auxiliary tasks too. A sample has no label where one of the
    two is missing, and no dense label. The weights of samples in a loss go with their labels: a mixture has the mean of
    both in the images' shares, and a label its part of that. Labels that tasks make themselves (rotation, jigsaw, HOG)
    are of the mixture.

    Args:
        base: augmentation of the single images before.
        alpha: the shares follow Beta(α, α); above 0.
        probability: with which an image is mixed at all, in (0, 1].

    Raises:
        SettingError: ``alpha`` or ``probability`` is out of its range.
    """

    def __init__(self, base: Augmentation, alpha: float = 1.0, probability: float = 1.0) -> None:
        self.base = base
        self.alpha = check_real("alpha", alpha, 0, closed="neither", example=1)
        self.probability = check_real("probability", probability, 0, 1, closed="right")

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """What the base draws."""
        return self.base.draw(samples, generator)

    def __call__(self, images: Tensor, values: Tensor) -> Tensor:
        """The single images, augmented by the base."""
        return self.base(images, values)

    @abstractmethod
    def mix(self, images: Tensor, others: Tensor, share: Tensor, generator: BatchGenerator) -> tuple[Tensor, Tensor]:
        """Mixtures of images ``[B, C, H, W]`` with others.

        Args:
            images: these count for ``share``.
            others: these count for the rest.
            share: ``[B]`` in [0, 1].
            generator: random numbers.

        Returns:
            The mixtures, and what the share of ``images`` in them really is, ``[B]``.
        """

    def at_step(self, batch: Batch, generators: Generators, loss_of: LossOf) -> Batch:
        """Every image mixed with the one that a random order of the joined batch puts in its place."""
        device, generator = batch.images.device, generators("mixing")
        partner = generator.permutation(device)
        uniform = generator.uniform((2,)).double()
        share = torch.from_numpy(betaincinv(self.alpha, self.alpha, uniform[:, 0].numpy()))
        share = to_device(torch.where(uniform[:, 1] < self.probability, share, 1.0).to(batch.images.dtype), device)
        images, share = self.mix(batch.images, _joined(batch.images, batch.shard)[partner], share, generator)
        own, others = {}, {}
        for name, label in batch.labels.items():
            other = _joined(label, batch.shard)[partner]
            keep = (has_label(label) & has_label(other) & (label.dim() < 4)) | (share == 1)
            own[name], others[name] = _where(keep, label), _where(keep & has_label(other), other)
        weights, weighted = {}, {}
        for name, weight in batch.weights.items():
            weights[name] = share * weight + (1 - share) * _joined(weight, batch.shard)[partner]
            weighted[name] = share * weight / weights[name]
        unlabelled = batch.unlabelled
        if unlabelled is not None:
            unlabelled = unlabelled | (_joined(unlabelled.long(), batch.shard)[partner].bool() & (share != 1))
        mixed = Mixed(others, share, weighted)
        return replace(batch, images=images, labels=own, mixed=mixed, unlabelled=unlabelled, weights=weights)


def _joined(part: Tensor, shard: Shard) -> Tensor:
    """All ranks' parts, in the order of the joined batch."""
    if shard.size == shard.total:
        return part
    whole = part.new_zeros(shard.total, *part.shape[1:])
    whole[shard.offset : shard.offset + shard.size] = part
    return sum_over_ranks(whole)


def _where(keep: Tensor, label: Tensor) -> Tensor:
    """The label where it is kept, and elsewhere a missing one."""
    return torch.where(keep.view(-1, *[1] * (label.dim() - 1)), label, missing_value(label))
