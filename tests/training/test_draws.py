"""Numbers that are drawn a step ahead are those that the step would have drawn."""

import threading
from contextlib import nullcontext
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from gat_lightning.attacks import PGD
from gat_lightning.augment import CutMix, Identity, MaxUp
from gat_lightning.data.sampler import shard_of
from gat_lightning.methods import Adversarial, Free, Madry, Trades
from gat_lightning.randomness import BatchGenerator, Draw, Shard
from gat_lightning.training import draws as draws_module
from gat_lightning.training.draws import StepDraws
from support.trainers import quiet_trainer
from support.training_steps import EPS, toy_batch, toy_module

CPU = torch.device("cpu")


def pairs(samples, generator):
    """A draw of a caller's own, which cannot be compared with another."""
    return torch.rand(samples, 2, generator=generator)


DRAWS = {
    "order": lambda g: g.permutation(),
    "turns": lambda g: g.integers(4),
    "quarters": lambda g: g.integers(3),
    "start": lambda g: g.uniform((2, 3)),
    "direction": lambda g: g.normal((2, 3)),
    "double": lambda g: g.normal((5,)).double(),
    "own": lambda g: g.rows(pairs),
}


@pytest.fixture
def ahead(monkeypatch):
    """Draw ahead on the CPU as well."""
    monkeypatch.setattr(draws_module, "AHEAD", ("cpu", "cuda"))


def started():
    draws = StepDraws()
    draws._ahead = draws_module._Ahead(CPU)
    return draws


@pytest.fixture
def drawn_here(monkeypatch):
    """Draws that are made in the thread of the step."""
    here, call = [], Draw.__call__

    def recorded(draw, samples, generator):
        if threading.current_thread() is threading.main_thread():
            here.append((draw.kind, samples))
        return call(draw, samples, generator)

    monkeypatch.setattr(Draw, "__call__", recorded)
    return here


def assert_no_thread_left():
    for thread in [each for each in threading.enumerate() if each.name == draws_module.THREAD]:
        thread.join(5)
        assert not thread.is_alive()


ASKED = st.lists(st.tuples(st.sampled_from(["attack", "rotation"]), st.sampled_from(sorted(DRAWS))), max_size=5)
STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([6, 6, 6, 5]), ASKED), max_size=8)


@given(STEPS, st.booleans(), st.integers(0, 1), st.integers(1, 3))
def test_whatever_steps_ask_for_they_get_the_numbers_of_a_plain_generator(steps, repeat, rank, parts):
    """Steps that follow or jump, of changing sizes, on one of two ranks, in parts, with the same draws or others."""
    draws, step = started(), 0
    for jump, total, asked in steps:
        step += 1 if jump < 2 else 3
        shard = shard_of(total, rank, 2)
        cuts = [shard.size * part // parts for part in range(parts + 1)]
        draws.generators(shard, (0, 1, step))
        for start, stop in pairwise(cuts):
            part = shard.piece(slice(start, stop))
            made, plain = draws.generators(part, (0, 1, step)), partial(BatchGenerator, part, 0, 1, step)
            generators = {purpose: (made(purpose), plain(purpose)) for purpose, _ in asked}
            for purpose, name in steps[0][2] if repeat else asked:
                if purpose not in generators:
                    generators[purpose] = made(purpose), plain(purpose)
                got, expected = (DRAWS[name](generator) for generator in generators[purpose])
                assert torch.equal(got, expected)
                got.zero_()  # which changes nothing for another part
    draws.end()
    assert_no_thread_left()


def test_after_the_first_step_nothing_is_drawn_in_the_step(drawn_here):
    draws = started()
    for step in range(4):
        generators = draws.generators(Shard(2, 3, 8), (0, 0, step))
        for purpose in ("attack", "rotation"):
            generator = generators(purpose)
            generator.normal((2,))
            generator.uniform((1,))
        assert len(drawn_here) == 4


def test_what_was_not_expected_is_drawn_in_the_step(drawn_here):
    draws, whole = started(), Shard.whole

    def step(key, shard, shape):
        drawn_here.clear()
        generator = draws.generators(shard, key)("attack")
        generator.uniform((1,))
        generator.normal(shape)
        return len(drawn_here)

    assert [step((0, 0, number), whole(8), (2,)) for number in range(3)] == [2, 0, 0]
    assert step((0, 0, 3), whole(5), (2,)) == 2  # a smaller last batch
    assert step((0, 1, 0), whole(8), (2,)) == 2  # the next epoch
    assert step((0, 1, 1), whole(8), (2,)) == 0
    assert step((0, 1, 2), whole(8), (3,)) == 2  # the first draw again, to go on from it
    assert step((0, 1, 3), whole(8), (3,)) == 0


def test_the_default_dtype_is_that_of_the_step():
    draws = started()
    try:
        for step, dtype in enumerate([torch.float32, torch.float64, torch.float64, torch.float32]):
            torch.set_default_dtype(dtype)
            found = draws.generators(Shard.whole(4), (0, 0, step))("attack").normal((20,))
            torch.set_default_dtype(torch.float32)
            assert_no_thread_left()  # which drew with another default
            torch.set_default_dtype(dtype)
            expected = BatchGenerator(Shard.whole(4), 0, 0, step, "attack").normal((20,))
            assert found.dtype == dtype
            assert torch.equal(found, expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_no_more_than_so_many_bytes_are_drawn_ahead(monkeypatch, drawn_here):
    monkeypatch.setattr(draws_module, "MOST_BYTES", 4 * 8 * 10)
    draws = started()
    for step in range(3):
        drawn_here.clear()
        generator = draws.generators(Shard.whole(8), (0, 0, step))("attack")
        for number in range(3):
            expected = BatchGenerator(Shard.whole(8), 0, 0, step, "attack")
            for _ in range(number):
                expected.uniform((5,))
            assert torch.equal(generator.uniform((5,)), expected.uniform((5,)))
    ahead = [future for _, future in draws._ahead._ready._drawn["attack"]]
    assert len(ahead) == 2


@pytest.fixture
def fails_there(monkeypatch):
    """Draws fail in the other thread."""
    call = Draw.__call__

    def failing(draw, samples, generator):
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError("no memory to draw in")
        return call(draw, samples, generator)

    monkeypatch.setattr(Draw, "__call__", failing)


@pytest.mark.usefixtures("fails_there")
def test_an_error_of_the_thread_is_raised_in_the_step_that_wants_the_numbers():
    draws = started()
    draws.generators(Shard.whole(4), (0, 0, 0))("attack").uniform((2,))
    generator = draws.generators(Shard.whole(4), (0, 0, 1))("attack")
    with pytest.raises(MemoryError, match="no memory to draw in"):
        generator.uniform((2,))
    assert_no_thread_left()


@pytest.mark.usefixtures("fails_there")
@pytest.mark.parametrize("then", ["another epoch", "the end"])
def test_an_error_of_the_thread_is_raised_though_nobody_wants_the_numbers(then):
    draws = started()
    draws.generators(Shard.whole(4), (0, 0, 0))("attack").uniform((2,))
    assert_no_thread_left()  # so that it is too late to cancel
    with pytest.raises(MemoryError, match="no memory to draw in"):
        draws.end() if then == "the end" else draws.generators(Shard.whole(4), (0, 1, 0))


def test_numbers_for_a_gpu_are_pinned_by_the_thread_on_its_device(monkeypatch):
    pinned, devices = [], []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda rows: pinned.append(threading.current_thread().name) or rows)
    monkeypatch.setattr(torch.cuda, "device", lambda device: devices.append(device) or nullcontext())
    draws, gpu = StepDraws(), torch.device("cuda", 1)
    draws.start(gpu)
    draws.generators(Shard.whole(4), (0, 0, 0))("attack").uniform((2,))
    found = draws.generators(Shard.whole(4), (0, 0, 1))("attack").uniform((2,))
    draws.end()
    assert torch.equal(found, BatchGenerator(Shard.whole(4), 0, 0, 1, "attack").uniform((2,)))
    assert pinned[0] == draws_module.THREAD
    assert devices[0] == gpu


class Shift(Identity):
    """Adds the same small number to all pixels of an image."""

    def draw(self, samples, generator):
        return torch.rand(samples, 1, generator=generator, dtype=torch.float64) / 4

    def __call__(self, images, values):
        return (images + values[:, :, None, None]).clamp(0, 1)


def trained(method, sizes=(7, 7, 7, 5), epochs=2, **settings):
    module = toy_module(method, "objective", None, False, **settings)
    module.attack = module.method.attack or PGD(eps=EPS, steps=2, random_start="uniform", restarts=2)
    trainer = quiet_trainer(max_epochs=epochs)
    trainer.fit(module, DataLoader([toy_batch(size) for size in sizes], batch_size=None))
    return module


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        pytest.param(lambda: Madry("separate"), {}, id="madry"),
        pytest.param(lambda: Madry("combined"), {"micro_batch": 3}, id="micro-batches"),
        pytest.param(lambda: Adversarial(), {"augment": CutMix(Shift())}, id="cutmix"),
        pytest.param(lambda: Adversarial(), {"augment": MaxUp(Shift(), 2)}, id="maxup"),
        pytest.param(lambda: Free(EPS, replays=2), {}, id="free"),
        pytest.param(lambda: Trades(), {}, id="trades"),
    ],
)
def test_a_training_is_equal_bit_by_bit(monkeypatch, drawn_here, method, settings):
    plain = trained(method(), **settings)
    assert drawn_here
    in_the_step = len(drawn_here)
    drawn_here.clear()
    monkeypatch.setattr(draws_module, "AHEAD", ("cpu",))
    early = trained(method(), **settings)
    assert len(drawn_here) < in_the_step
    for (name, parameter), other in zip(plain.model.named_parameters(), early.model.parameters(), strict=True):
        assert torch.equal(parameter, other), name
    assert early.draws._ahead is None
    assert_no_thread_left()


@pytest.mark.usefixtures("ahead")
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_no_thread_is_left_after_an_error():
    module = toy_module(Madry("combined"), "off", None, False)
    module.attack = PGD(eps=EPS, steps=1)
    batches = [toy_batch(), toy_batch()]
    batches[1].images[0] = 2
    with pytest.raises(ValueError, match="An attack needs images"):
        quiet_trainer(max_epochs=1).fit(module, DataLoader(batches, batch_size=None))
    assert_no_thread_left()


def test_a_training_on_a_cpu_draws_in_the_step():
    draws = StepDraws()
    draws.start(CPU)
    generators = draws.generators(Shard.whole(4), (0, 0, 0))
    assert type(generators("attack")) is BatchGenerator
