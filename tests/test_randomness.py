import torch
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.randomness import BatchGenerator, Shard, generator_for

PURPOSES = st.sampled_from(["attack", "jigsaw"])
KEYS = st.tuples(st.integers(0, 10**6), st.integers(0, 400), st.integers(0, 10**5), PURPOSES)


@given(KEYS, st.integers(2, 40), st.data())
def test_parts_of_a_joined_batch_are_slices_of_the_whole(key, total, data):
    cut = data.draw(st.integers(0, total))
    shards = [Shard(0, cut, total), Shard(cut, total - cut, total)]
    for draw in (
        lambda g: g.integers(7),
        lambda g: g.uniform((2, 3)),
        lambda g: g.normal((4,)),
    ):
        whole = draw(BatchGenerator(Shard.whole(total), *key))
        parts = [draw(BatchGenerator(shard, *key)) for shard in shards]
        assert torch.equal(torch.cat(parts), whole)


@given(KEYS, KEYS)
def test_equal_keys_and_only_those_draw_equal_numbers(first, second):
    def draw(key):
        return torch.rand(8, generator=generator_for(*key))

    assert torch.equal(draw(first), draw(second)) == (first == second)


def test_successive_draws_differ_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    generator = BatchGenerator(Shard.whole(16), 0)
    assert not torch.equal(generator.uniform((3,)), generator.uniform((3,)))
    assert torch.equal(torch.get_rng_state(), before)
