import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.data.sampler import EvaluationBatchSampler, JointBatchSampler, shard_of
from gat_lightning.errors import UserError
from gat_lightning.randomness import generator_for
from support.loaders import joined

ranks_ = st.integers(1, 5)


@given(st.integers(0, 300), ranks_)
def test_shards_cover_the_batch_evenly(total, ranks):
    shards = [shard_of(total, rank, ranks) for rank in range(ranks)]
    assert sum(shard.size for shard in shards) == total
    assert max(s.size for s in shards) - min(s.size for s in shards) <= 1


@given(st.integers(5, 100), st.integers(5, 40), ranks_, st.integers(0, 9), st.integers(0, 9))
def test_rank_parts_join_to_the_order_of_the_epoch(samples, batch_size, ranks, seed, epoch):
    samplers = [JointBatchSampler(samples, batch_size, seed, rank, ranks) for rank in range(ranks)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    batches = list(joined(samplers))
    order = torch.randperm(samples, generator=generator_for(seed, epoch, "order")).tolist()
    rest = samples % batch_size
    expected = samples - rest if 0 < rest < max(2, ranks) else samples
    assert [position for batch in batches for position in batch] == order[:expected]
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert all(len(sampler) == len(batches) for sampler in samplers)


@given(st.integers(1, 60), st.integers(2, 20), ranks_)
def test_evaluation_gives_every_sample_once_in_order(samples, batch_size, ranks):
    samplers = [EvaluationBatchSampler(samples, batch_size, rank, ranks) for rank in range(ranks)]
    batches = list(joined(samplers))
    assert [position for batch in batches for position in batch] == list(range(samples))
    assert all(len(sampler) == len(batches) for sampler in samplers)


def test_epochs_and_seeds_differ_and_repeat():
    def order(seed, epoch):
        sampler = JointBatchSampler(50, 8, seed)
        sampler.set_epoch(epoch)
        return [request.positions for request in sampler]

    assert order(0, 3) == order(0, 3)
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_without_reshuffling_every_epoch_is_the_first():
    sampler = JointBatchSampler(50, 8, 0, reshuffle=False)
    first = list(sampler)
    sampler.set_epoch(4)
    assert list(sampler) == first == list(JointBatchSampler(50, 8, 0))


def test_start_batch_leaves_out_the_first_batches_of_one_pass():
    sampler = JointBatchSampler(50, 8, 0)
    whole = list(sampler)
    sampler.start_batch = 3
    assert list(sampler) == whole[3:]
    assert list(sampler) == whole


@pytest.mark.parametrize(("samples", "ranks", "batches"), [(17, 1, 2), (18, 1, 3), (18, 3, 2), (19, 3, 3)])
def test_a_last_batch_too_small_is_dropped(samples, ranks, batches):
    assert len(JointBatchSampler(samples, 8, 0, 0, ranks)) == batches


def test_too_few_samples_or_too_small_a_batch_for_the_ranks():
    with pytest.raises(UserError, match="3 training images are too few for 4 processes"):
        JointBatchSampler(3, 8, 0, ranks=4)
    with pytest.raises(UserError, match=r"batch_size=3 .* all 4 processes: it must be at least 4"):
        JointBatchSampler(30, 3, 0, ranks=4)
