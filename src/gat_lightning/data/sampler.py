"""Sampler of joined batches, and of this process's part of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor
from torch.utils.data import Sampler
from typing_extensions import Unpack

from gat_lightning.errors import UserError
from gat_lightning.randomness import Shard, generator_for


class Request(NamedTuple):
    """What a process loads of a joined batch.

    Attributes:
        positions: in a split.
        shard: the part of the joined batch that they are.
        visits: how often each position came before in the epoch; never if empty.
    """

    positions: list[int]
    shard: Shard
    visits: Sequence[int] = ()


def shard_of(total: int, rank: int, ranks: int) -> Shard:
    """Part of a joined batch for one rank: contiguous, with sizes that differ by at most one."""
    start, stop = total * rank // ranks, total * (rank + 1) // ranks
    return Shard(start, stop - start, total)


def _request(joined: Tensor, visits: Tensor, rank: int, ranks: int) -> Request:
    shard = shard_of(len(joined), rank, ranks)
    own = slice(shard.offset, shard.offset + shard.size)
    return Request(joined[own].tolist(), shard, visits[own].tolist())


def continued(samples: int, start: int, count: int, seed: int, purpose: str) -> Tensor:
    """``count`` draws without replacement, of passes over all samples that follow one another, from draw ``start`` on.

    Args:
        samples: number of samples in a pass, each of which has an order of its own.
        start: number of draws before.
        count: number of draws.
        seed: of the run.
        purpose: tells these passes from others of the run.
    """
    first, start = divmod(start, samples)
    passes = max(-(-(start + count) // samples), 1)
    orders = [torch.randperm(samples, generator=generator_for(seed, first + more, purpose)) for more in range(passes)]
    return torch.cat(orders)[start : start + count]


def earlier_visits(order: Tensor) -> Tensor:
    """How many earlier entries of ``order`` ``[n]``, long, are equal to each, ``[n]``."""
    by_position = order.argsort(stable=True)
    counts = order.unique(return_counts=True)[1]
    first = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return torch.empty_like(order).scatter_(0, by_position, torch.arange(len(order)) - first)


def steps_of_longer(samples: int, extra: int, fraction: float, batch_size: int) -> int:
    """Joined batches of which each has ``fraction`` extra samples, until both kinds have had a whole pass."""
    drawn = min(max(round(batch_size * fraction), 1), batch_size - 1)
    return max(-(-samples // (batch_size - drawn)), -(-extra // drawn))


class OrderSettings(TypedDict, total=False):
    """The optional arguments of :class:`JointBatchSampler`, which its subclass passes on to it."""

    rank: int
    ranks: int
    reshuffle: bool
    steps: int | None


class JointBatchSampler(Sampler[Request]):
    """Training: a new order every epoch, a pure function of (seed, epoch), and this rank's part of each joined batch.

    An epoch is one pass over the samples. Its last joined batch may be smaller; it is dropped if it has fewer than two
    samples (BatchNorm fails on one) or fewer samples than there are ranks. An epoch of a given number of steps has full
    batches, from passes that go on from one epoch to the next.

    Args:
        samples: number of samples in the split.
        batch_size: size of the joined batch of all ranks.
        seed: seed of the run.
        rank: rank of this process.
        ranks: number of processes.
        reshuffle: whether the order changes every epoch.
        steps: number of joined batches in an epoch; one pass over the samples if None.

    Raises:
        UserError: too few samples, or a joined batch too small, for every rank to get one.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        reshuffle: bool = True,
        steps: int | None = None,
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
        self.rank, self.ranks, self.reshuffle, self.steps = rank, ranks, reshuffle, steps
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
        order, sizes = self._order(epoch), self._sizes()
        batches = zip(order.split(sizes), earlier_visits(order).split(sizes), strict=True)
        for joined, visits in islice(batches, start, len(self)):
            yield _request(joined, visits, self.rank, self.ranks)

    def _sizes(self) -> list[int]:
        """Of the joined batches of an epoch, the last one too if it is too small."""
        return [self.batch_size] * self.steps if self.steps else self._sizes_of_pass()

    def _sizes_of_pass(self) -> list[int]:
        full, rest = divmod(self.samples, self.batch_size)
        return [self.batch_size] * full + [rest] * (rest > 0)

    def _order(self, epoch: int) -> Tensor:
        """Positions in the order of the epoch, ``[sum of the sizes]``."""
        return self._drawn(epoch, sum(self._sizes()))

    def _drawn(self, epoch: int, count: int) -> Tensor:
        """The ``count`` samples of an epoch, in order."""
        return continued(self.samples, epoch * count, count, self.seed, "order")


class MixedBatchSampler(JointBatchSampler):
    """Training sampler with extra images, which are a fixed fraction of every joined batch.

    In a joined batch of B samples, ``round(B * fraction)`` are extra. The others are real samples, in the same order as
    without extra samples. An epoch is one pass over the real samples. Extra samples are drawn without replacement, in
    reshuffled passes that continue over epochs; those of an epoch are a function of (seed, epoch). Both kinds are
    spread evenly over the batch, so that each rank and micro-batch has its share of each, to within one sample. An
    epoch of a given number of steps has the real samples from passes that go on as well.

    Positions below ``samples`` are real samples; the extra ones follow.

    Args:
        samples: number of real samples.
        extra: number of extra samples, at least 1.
        fraction: fraction of extra samples in a joined batch, in (0, 1).
        batch_size: size of the joined batch of all ranks, extra samples included.
        seed: seed of the run.
        setting: name of the setting that ``fraction`` is, for messages.
        **settings: those of :class:`JointBatchSampler`.

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
        *,
        setting: str = "data.extra_fraction",
        **settings: Unpack[OrderSettings],
    ) -> None:
        super().__init__(samples, batch_size, seed, **settings)
        self.extra, self.fraction = extra, fraction
        drawn = self._extra_of(batch_size)
        if not 0 < drawn < batch_size:
            kind = setting.removeprefix("data.").removesuffix("_fraction")
            raise UserError(
                f"{setting}={fraction} makes {drawn} of the {batch_size} images of a batch {kind} ones; there must be"
                " some of both kinds: change it, or use a larger data.batch_size"
            )

    def _extra_of(self, size: int) -> int:
        return round(size * self.fraction)

    def _sizes_of_pass(self) -> list[int]:
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
        extra = int(drawn.sum())
        order[~is_extra] = self._drawn(epoch, len(order) - extra)
        order[is_extra] = self.samples + continued(self.extra, epoch * extra, extra, self.seed, "extra order")
        return order


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
            yield _request(joined, torch.zeros_like(joined), self.rank, self.ranks)
