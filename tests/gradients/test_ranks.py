"""The engine on several processes equals the engine on one, for every weighting and both spaces."""

import multiprocessing

import pytest
import torch
import torch.distributed as dist

from gat_lightning.data.sampler import shard_of
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.gradients.engine import Objective
from gat_lightning.weighting import (
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
}
SIZES = (8, 8, 7)


def train(weighting, space, rank=0, ranks=1):
    """Three steps on joined batches of which the last is uneven, with labels missing; weights and final parameters."""
    torch.manual_seed(0)
    net = Net().double()
    engine = engine_for(net, WEIGHTINGS[weighting](), space)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    weights = []
    for step, size in enumerate(SIZES):
        generator = torch.Generator().manual_seed(step)
        joined = torch.randn(size, 4, dtype=torch.float64, generator=generator)
        labels = {task: torch.randint(classes, (size,), generator=generator) for task, classes in TASKS.items()}
        labels["macro"][:3] = -1
        shard = shard_of(size, rank, ranks)
        part = slice(shard.offset, shard.offset + shard.size)
        own = {task: label[part] for task, label in labels.items()}
        objectives, representation = [], []
        for view, images in (("clean", joined[part]), ("adv", joined[part].flip(1))):
            features = net.encode(images)
            representation += [features.pooled, *features.stages]
            for task, loss in net.losses(features, {t: label.clamp(min=0) for t, label in own.items()}).items():
                valid = own[task] >= 0
                count = sum_over_ranks(valid.sum())
                share = torch.where(valid, loss, 0.0).sum() / count
                objectives.append(Objective(f"{task}/{view}", task, share))
        weights.append(engine.step(objectives, representation=representation).weights)
        optimizer.step()
    return torch.stack(weights).tolist(), torch.cat([p.detach().flatten() for p in net.parameters()]).tolist()


def _rank(rank, ranks, port, queue):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=ranks)
    found = {(name, space): train(name, space, rank, ranks) for name in WEIGHTINGS for space in SPACES}
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
    for name in WEIGHTINGS:
        for space in SPACES:
            weights, parameters = train(name, space)
            for rank in range(ranks):
                of_rank, parameters_of_rank = results[rank][name, space]
                assert of_rank == results[0][name, space][0], (name, space)
                assert parameters_of_rank == results[0][name, space][1]
            assert torch.tensor(of_rank).allclose(torch.tensor(weights), atol=1e-8), (name, space)
            assert torch.tensor(parameters_of_rank).allclose(torch.tensor(parameters), atol=1e-10), (name, space)
