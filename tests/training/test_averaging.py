import copy
import multiprocessing

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.optim.swa_utils import update_bn

from gat_lightning.errors import SettingError
from gat_lightning.training.averaging import ExponentialAverage, WeightAverage, recompute_batchnorm


def network(dropout=0.0):
    torch.manual_seed(0)
    first, second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3)
    layers = (first, nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(dropout), second, nn.BatchNorm2d(3, momentum=0.3))
    return nn.Sequential(*layers).double()


def pictures(*sizes):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(size, 1, 8, 8, generator=generator, dtype=torch.float64) for size in sizes]


def statistics(model):
    return {name: buffer for name, buffer in model.named_buffers() if "running" in name}


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.allclose(one[name], other[name], **tolerance), name


class LastOnly:
    """Another rule: the one that forgets everything."""

    name = "last_only"

    def decay(self, step):
        return 0.0


def walk(model, steps):
    generator = torch.Generator().manual_seed(2)
    for _ in range(steps):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        yield [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize(("decay", "warmup"), [(0.999, True), (0.3, True), (0.9, False), (0.0, False)])
def test_exponential_average_by_hand(decay, warmup):
    model = network()
    expected = [parameter.detach().clone() for parameter in model.parameters()]
    average = WeightAverage(model, ExponentialAverage(decay, warmup))
    for step, weights in enumerate(walk(model, 20)):
        average.update()
        keep = min(decay, (step + 1) / (step + 10)) if warmup else decay
        expected = [keep * old + (1 - keep) * new for old, new in zip(expected, weights, strict=True)]
    for one, other in zip(average.model.parameters(), expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)
    assert average.steps == 20


def test_any_rule_fits():
    model = network()
    average = WeightAverage(model, LastOnly())
    for weights in walk(model, 3):
        average.update()
        assert all(torch.equal(*pair) for pair in zip(average.model.parameters(), weights, strict=True))


def test_the_average_is_separate_and_without_gradients():
    model = network()
    average = WeightAverage(model, ExponentialAverage())
    before = copy.deepcopy(model.state_dict())
    average.update()
    recompute_batchnorm(average.model, pictures(5))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


def test_an_average_continues_from_its_state(tmp_path):
    model, rule = network(), ExponentialAverage(0.95)
    average = WeightAverage(model, rule)
    for step, _ in enumerate(walk(model, 10)):
        average.update()
        if step == 4:
            torch.save(average.state_dict(), tmp_path / "state.pt")
    again = network()
    for step, _ in enumerate(walk(again, 10)):
        if step == 5:
            continued = WeightAverage(again, rule)
            continued.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        if step >= 5:
            continued.update()
    assert continued.steps == average.steps == 10
    assert all(
        torch.equal(*pair) for pair in zip(continued.model.parameters(), average.model.parameters(), strict=True)
    )


def test_statistics_of_equal_batches_are_those_of_torch():
    ours, theirs = network(), network()
    recompute_batchnorm(ours, pictures(6, 6, 6))
    update_bn(pictures(6, 6, 6), theirs)
    assert_same(statistics(ours), statistics(theirs), rtol=1e-12)


def test_statistics_of_unequal_batches_count_images():
    model, batches = network(), pictures(7, 7, 2)
    recompute_batchnorm(model, batches)
    with torch.no_grad():
        inputs = [model[0](batch) for batch in batches]
        for norm, rest in ((model[1], model[2:5]), (model[5], nn.Identity())):
            mean = torch.cat(inputs).mean((0, 2, 3))  # one pass over all images
            variance = sum(len(x) * x.transpose(0, 1).flatten(1).var(1) for x in inputs) / 16
            assert torch.allclose(norm.running_mean, mean, rtol=1e-12, atol=1e-14)
            assert torch.allclose(norm.running_var, variance, rtol=1e-12)
            norm.train()
            inputs = [rest(norm(x)) for x in inputs]


def test_recomputing_leaves_modes_momenta_and_generators():
    model = network(dropout=0.5)
    without = network()
    state = torch.get_rng_state()
    recompute_batchnorm(model, pictures(4, 4))
    recompute_batchnorm(without, pictures(4, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert_same(statistics(model), statistics(without), rtol=0, atol=0)
    assert not any(module.training for module in model.modules())
    assert (model[1].momentum, model[5].momentum) == (0.1, 0.3)
    with pytest.raises(RuntimeError):
        recompute_batchnorm(model, [torch.rand(2, 5, 8, 8)])
    assert (model[1].momentum, model[5].momentum) == (0.1, 0.3)


def test_a_model_without_batchnorm_is_left_alone():
    def no_images():
        raise AssertionError("not needed")
        yield

    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(9, track_running_stats=False), nn.Linear(9, 2))
    recompute_batchnorm(model, no_images())
    assert model.training


def _statistics_of_rank(rank, port):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        model = network()
        part = slice(0, 3) if rank == 0 else slice(3, 8)
        recompute_batchnorm(model, [batch[part] for batch in pictures(8, 6)])
        return {name: value.tolist() for name, value in statistics(model).items()}
    finally:
        dist.destroy_process_group()


def _other_process(port, queue):
    queue.put(_statistics_of_rank(1, port))


@pytest.mark.slow
def test_two_processes_average_over_all_images(free_port):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_other_process, args=(free_port, queue))
    process.start()
    ours = _statistics_of_rank(0, free_port)
    assert queue.get(timeout=120) == ours
    process.join(60)
    assert process.exitcode == 0
    model = network()
    first, second = pictures(8, 6)
    recompute_batchnorm(model, [first[:3], first[3:], second[:3], second[3:]])
    joined = {name: torch.tensor(value, dtype=torch.float64) for name, value in ours.items()}
    assert_same(joined, statistics(model), rtol=1e-12)


@pytest.mark.parametrize("decay", [1, -0.1, 1.5, float("nan"), "much", None, True])
def test_impossible_decays_are_refused(decay):
    with pytest.raises(SettingError, match=r"decay=.*at least 0 and below 1"):
        ExponentialAverage(decay)


def test_an_impossible_warmup_is_refused():
    with pytest.raises(SettingError, match=r"warmup='10': it must be true or false"):
        ExponentialAverage(warmup="10")
