"""Sampler of joined batches, and of this process's part of each."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from gat_lightning.errors import UserError
from gat_lightning.randomness import Shard, generator_for

Request = tuple[list[int], Shard]
"""Positions in a split, and the part of the joined batch that they are."""


def shard_of(total: int, rank: int, ranks: int) -> Shard:
    """Part of a joined batch for one rank: contiguous, with sizes that differ by at most one."""
    start, stop = total * rank // ranks, total * (rank + 1) // ranks
    return Shard(start, stop - start, total)


def _request(joined: Tensor, rank: int, ranks: int) -> Request:
    shard = shard_of(len(joined), rank, ranks)
    return joined[shard.offset : shard.offset + shard.size].tolist(), shard


class JointBatchSampler(Sampler[Request]):
    """Training: a new order every epoch, a pure function of (seed, epoch), and this rank's part of each joined batch.

    The last joined batch may be smaller. It is dropped if it has fewer than two samples (BatchNorm fails on one) or
    fewer samples than there are ranks.

    Args:
        samples: number of samples in the split.
        batch_size: size of the joined batch of all ranks.
        seed: seed of the run.
        rank: rank of this process.
        ranks: number of processes.
        reshuffle: whether the order changes every epoch.

    Raises:
        UserError: too few samples, or a joined batch too small, for every rank to get one.
    """

    def __init__(
        self, samples: int, batch_size: int, seed: int, rank: int = 0, ranks: int = 1, reshuffle: bool = True
    ) -> None:
        self._smallest = max(2, ranks)
        if batch_size < self._smallest:
            raise UserError(
                f"data.batch_size={batch_size} is the joined batch of all {ranks} processes: it must be at least"
                f" {self._smallest}"
            )
        if samples < self._smallest:
            raise UserError(f"{samples} training images are too few for {ranks} processes: use a larger data.fraction")
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.rank, self.ranks, self.reshuffle = rank, ranks, reshuffle
        self.epoch = 0
        self.start_batch = 0
        """Joined batches that the next pass leaves out, because they were trained on before a resume."""

    @property
    def sampler(self) -> JointBatchSampler:
        """Itself: Lightning calls ``set_epoch`` on ``dataloader.batch_sampler.sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the order of the next passes."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of joined batches in an epoch, including those skipped by :attr:`start_batch`."""
        return len(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """Of the joined batches of an epoch."""
        return [size for size in self._sizes() if size >= self._smallest]

    def __iter__(self) -> Iterator[Request]:
        start, self.start_batch = self.start_batch, 0
        epoch = self.epoch if self.reshuffle else 0
        for joined in self._order(epoch).split(self._sizes())[start : len(self)]:
            yield _request(joined, self.rank, self.ranks)

    def _sizes(self) -> list[int]:
        """Of the joined batches of an epoch, the last one too if it is too small."""
        full, rest = divmod(self.samples, self.batch_size)
        return [self.batch_size] * full + [rest] * (rest > 0)

    def _order(self, epoch: int) -> Tensor:
        """Positions in the order of the epoch, ``[sum of the sizes]``."""
        return torch.randperm(self.samples, generator=generator_for(self.seed, epoch, "order"))


class MixedBatchSampler(JointBatchSampler):
    """Training sampler with extra images, which are a fixed fraction of every joined batch.

    In a joined batch of B samples, ``round(B * fraction)`` are extra. The others are real samples, in the same order as
    without extra samples. An epoch is one pass over the real samples. Extra samples are drawn without replacement, in
    reshuffled passes that continue over epochs; those of an epoch are a function of (seed, epoch). Both kinds are
    spread evenly over the batch, so that each rank and micro-batch has its share of each, to within one sample.

    Positions below ``samples`` are real samples; the extra ones follow.

    Args:
        samples: number of real samples.
        extra: number of extra samples, at least 1.
        fraction: fraction of extra samples in a joined batch, in (0, 1).
        batch_size: size of the joined batch of all ranks, extra samples included.
        seed: seed of the run.
        rank: rank of this process.
        ranks: number of processes.
        reshuffle: whether the order and the extra samples change every epoch.

    Raises:
        UserError: as for :class:`JointBatchSampler`, or a batch would hold no real or no extra sample.
    """

    def __init__(
        self,
        samples: int,
        extra: int,
        fraction: float,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        reshuffle: bool = True,
    ) -> None:
        super().__init__(samples, batch_size, seed, rank, ranks, reshuffle)
        self.extra, self.fraction = extra, fraction
        drawn = self._extra_of(batch_size)
        if not 0 < drawn < batch_size:
            raise UserError(
                f"data.extra_fraction={fraction} makes {drawn} of the {batch_size} images of a batch extra ones; there"
                " must be some of both kinds: change it, or use a larger data.batch_size"
            )

    def _extra_of(self, size: int) -> int:
        return round(size * self.fraction)

    def _sizes(self) -> list[int]:
        full, rest = divmod(self.samples, self.batch_size - self._extra_of(self.batch_size))
        last = next(size for size in range(rest, self.batch_size) if size - self._extra_of(size) == rest)
        return [self.batch_size] * full + [last] * (rest > 0)

    def _order(self, epoch: int) -> Tensor:
        sizes = torch.tensor(self._sizes())
        drawn = torch.tensor([self._extra_of(size) for size in sizes.tolist()])
        place = torch.cat([torch.arange(size) for size in sizes])
        size, share = sizes.repeat_interleave(sizes), drawn.repeat_interleave(sizes)
        is_extra = (place + 1) * share // size > place * share // size
        order = torch.empty(len(place), dtype=torch.long)
        order[~is_extra] = super()._order(epoch)
        order[is_extra] = self.samples + self._extra_order(epoch, int(drawn.sum()))
        return order

    def _extra_order(self, epoch: int, count: int) -> Tensor:
        """The ``count`` extra samples of an epoch: its part of the concatenated passes."""
        first, start = divmod(epoch * count, self.extra)
        passes = max(-(-(start + count) // self.extra), 1)
        drawn = [
            torch.randperm(self.extra, generator=generator_for(self.seed, first + number, "extra order"))
            for number in range(passes)
        ]
        return torch.cat(drawn)[start : start + count]


class EvaluationBatchSampler(Sampler[Request]):
    """Validation and test sampler: every sample exactly once over all ranks, in the order of the split.

    All ranks make the same number of steps. In the last step a rank's part is empty if fewer samples than ranks remain.

    Args:
        samples: number of samples in the split.
        batch_size: size of the joined batch of all ranks.
        rank: rank of this process.
        ranks: number of processes.
    """

    def __init__(self, samples: int, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.samples, self.batch_size, self.rank, self.ranks = samples, batch_size, rank, ranks

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Request]:
        for joined in torch.arange(self.samples).split(self.batch_size):
            yield _request(joined, self.rank, self.ranks)
