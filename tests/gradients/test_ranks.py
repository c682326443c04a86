"""The engine on several processes equals the engine on one, for every weighting and both spaces."""

import multiprocessing

import pytest
import torch
import torch.distributed as dist

from gat_lightning.data.sampler import shard_of
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients.objectives import Objective
from gat_lightning.weighting import (
    FAMO,
    IMTL,
    MGDA,
    AlignedMTL,
    CAGrad,
    Equal,
    Fixed,
    GradVac,
    NashMTL,
    PCGrad,
    UPGrad,
)
from support.two_task_net import TASKS, Net, engine_for

NAMES = [f"{task}/{view}" for view in ("clean", "adv") for task in TASKS]
WEIGHTINGS = {
    "equal": Equal,
    "fixed": lambda: Fixed(dict(zip(NAMES, (1.0, 0.5, 2.0, 0.1), strict=True))),
    "mgda": MGDA,
    "imtl": IMTL,
    "gradvac": GradVac,
    "pcgrad": PCGrad,
    "cagrad": CAGrad,
    "aligned_mtl": AlignedMTL,
    "nash_mtl": NashMTL,
    "upgrad": UPGrad,
    "mgda every 2": MGDA,
    "fixed every 2": lambda: Fixed(dict(zip(NAMES, (1.0, 0.5, 2.0, 0.1), strict=True))),
    "famo": FAMO,
}
SIZES = (8, 8, 7)


def taken(net, images, own, means):
    """The objectives of a process on its images, and what the encoder handed to the decoders."""
    objectives, representation = [], []
    for view, seen in (("clean", images), ("adv", images.flip(1))):
        features = net.encode(seen)
        representation += [features.pooled, *features.stages]
        for task, loss in net.losses(features, {t: label.clamp(min=0) for t, label in own.items()}).items():
            valid = own[task] >= 0
            count = valid.sum() if means else sum_over_ranks(valid.sum())
            share = torch.where(valid, loss, 0.0).sum() / count
            objectives.append(Objective(f"{task}/{view}", task, share))
    return objectives, representation


def train(weighting, space, rank=0, ranks=1, means=False):
    """Three steps on joined batches; weights and final parameters.

    Objectives are shares of the joined mean, the last batch is uneven, and labels are missing; or, as ``means`` says,
    each is a process's own mean, of even batches without a missing label.
    """
    torch.manual_seed(0)
    net = Net().double()
    every = 2 if weighting.endswith("every 2") else 1
    engine = engine_for(net, WEIGHTINGS[weighting](), space, world_size=ranks if means else 1, solve_every=every)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    weights = []
    for step, size in enumerate((12, 6, 12) if means else SIZES):
        generator = torch.Generator().manual_seed(step)
        joined = torch.randn(size, 4, dtype=torch.float64, generator=generator)
        labels = {task: torch.randint(classes, (size,), generator=generator) for task, classes in TASKS.items()}
        if not means:
            labels["macro"][:3] = -1
        shard = shard_of(size, rank, ranks)
        part = slice(shard.offset, shard.offset + shard.size)
        own = {task: label[part] for task, label in labels.items()}
        weights.append(engine.step(*taken(net, joined[part], own, means)).weights)
        optimizer.step()
        if weighting == "famo":
            engine.observe({each.name: each.loss for each in taken(net, joined[part], own, means)[0]})
    return torch.stack(weights).tolist(), torch.cat([p.detach().flatten() for p in net.parameters()]).tolist()


def _rank(rank, ranks, port, queue):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=ranks)
    found = {
        (name, space, means): train(name, space, rank, ranks, means)
        for name in WEIGHTINGS
        for space in (SPACES if name != "famo" else SPACES[:1])
        for means in ((False, True) if name in ("equal", "mgda", "mgda every 2", "famo") else (False,))
    }
    queue.put((rank, found))
    dist.barrier()
    dist.destroy_process_group()


SPACES = ("parameters", "representation")


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_equal_one_on_the_joined_batch(ranks, free_port):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_rank, args=(rank, ranks, free_port, queue)) for rank in range(ranks)]
    for process in processes:
        process.start()
    results = dict(queue.get(timeout=240) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for (name, space, means), (of_first, parameters_of_first) in results[0].items():
        weights, parameters = train(name, space, means=means)
        for rank in range(ranks):
            of_rank, parameters_of_rank = results[rank][name, space, means]
            assert of_rank == of_first, (name, space)
            assert parameters_of_rank == parameters_of_first
        assert torch.tensor(of_first).allclose(torch.tensor(weights), atol=1e-8), (name, space)
        assert torch.tensor(parameters_of_first).allclose(torch.tensor(parameters), atol=1e-10), (name, space)


def refused(world_size):
    """The message with which an engine in this process group refuses a step."""
    net = Net().double()
    labels = {task: torch.zeros(2, dtype=torch.long) for task in TASKS}
    objectives, taps = net.objectives(torch.ones(2, 4, dtype=torch.float64), labels, 2)
    try:
        engine_for(net, Equal(), "parameters", world_size).step(objectives, representation=taps)
    except ValueError as error:
        return str(error)
    return None


def test_several_processes_need_a_world_size(monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda tensor: None)
    message = refused(None)
    assert message.startswith(
        "The process group has 2 processes, so say what the objectives are: world_size=2 for means"
    )
    assert refused(3) == "world_size=3: it must be 1 or 2, the number of processes in the process group."
    assert refused(1) is refused(2) is None


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_number_travels_with_the_figures_of_a_step_even_of_one_that_fails(monkeypatch, adaptive):
    summed = []
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda tensor: summed.append(tensor.mul_(2)))
    net = Net().double()
    labels = {task: torch.zeros(2, dtype=torch.long) for task in TASKS}
    engine = engine_for(net, MGDA() if adaptive else Equal(), "parameters", 1)
    for number in (0.0, 17.0):
        engine.flag = number
        engine.step(*net.objectives(torch.ones(2, 4, dtype=torch.float64), labels, 2))
        assert engine.joint_flag == 2 * number
    assert len(summed) == 2 * 3  # gradients, figures and those of the decoders
    engine.flag = 4.0
    with pytest.raises(NonFiniteError):
        engine.step(*net.objectives(torch.full((2, 4), torch.nan, dtype=torch.float64), labels, 2))
    assert engine.joint_flag == 8.0
