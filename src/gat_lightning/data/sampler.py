"""Which samples make up each joined batch, and which of them this process holds."""

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
    """The part of a joined batch that a rank holds: contiguous, sizes differing by at most one."""
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
        seed: of the run.
        rank: of this process.
        ranks: number of processes.
        reshuffle: whether epochs differ in their order.

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
        """Choose the order of the passes that begin from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Joined batches in an epoch, those left out by :attr:`start_batch` included."""
        full, rest = divmod(self.samples, self.batch_size)
        return full + (rest >= self._smallest)

    def __iter__(self) -> Iterator[Request]:
        start, self.start_batch = self.start_batch, 0
        epoch = self.epoch if self.reshuffle else 0
        order = torch.randperm(self.samples, generator=generator_for(self.seed, epoch, "order"))
        for joined in order.split(self.batch_size)[start : len(self)]:
            yield _request(joined, self.rank, self.ranks)


class EvaluationBatchSampler(Sampler[Request]):
    """Validation and test: every sample exactly once over all ranks, in the order of the split.

    Every rank makes the same number of steps. In the last one a rank's part is empty if fewer samples than ranks are
    left.

    Args:
        samples: number of samples in the split.
        batch_size: size of the joined batch of all ranks.
        rank: of this process.
        ranks: number of processes.
    """

    def __init__(self, samples: int, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.samples, self.batch_size, self.rank, self.ranks = samples, batch_size, rank, ranks

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Request]:
        for joined in torch.arange(self.samples).split(self.batch_size):
            yield _request(joined, self.rank, self.ranks)
