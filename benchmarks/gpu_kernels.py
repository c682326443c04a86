"""Single operations on a GPU: the Gramian of long gradients, and an attack as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.findings import Findings
from benchmarks.gpu_machine import Machine
from gat_lightning import BIM, BatchGenerator, ClassifierProblem, Shard, gramian
from gat_lightning.gradients import spaces

CALLS = 5
SIZES = ((5, 11_200_000), (8, 36_500_000))
"""Objectives and parameters: three tasks on a ResNet-18, and more on a WRN-28-10."""


def gramian_blocks(findings: Findings, machine: Machine) -> None:
    """The Gramian as it is, in other blocks, pair by pair, and as one product in float32."""
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "as it is": gramian,
        "blocks of 2^22 in rows of 2^12": lambda rows: _in_blocks(rows, 1 << 22, 1 << 12),
        "blocks of 2^22 in rows of 2^14": lambda rows: _in_blocks(rows, 1 << 22, 1 << 14),
        "pairs": _by_pairs,
        "float32": lambda rows: (rows @ rows.T).double(),
    }
    for objectives, parameters in SIZES:
        rows = torch.randn(objectives, machine.sized(parameters, 100_000), device=machine.device)
        for name, way in ways.items():
            with findings.attempt("gramian", f"K={objectives}, P={parameters}, {name}") as found:
                found["ms"] = round(1000 * machine.seconds(partial(way, rows), CALLS), 3)


def attack_as_graph(findings: Findings, machine: Machine) -> None:
    """Ten steps of an attack: duration of the loop and of a CUDA graph of it, and whether both give the same images."""
    net, batch = machine.work.model().single_task().eval().requires_grad_(False), machine.work.data(0)
    for layout, bf16 in ((torch.contiguous_format, False), (torch.channels_last, True)):
        images = batch.images.contiguous(memory_format=layout)
        problem = ClassifierProblem(net.to(memory_format=layout), batch.labels["class"])

        def loop(images: Tensor, problem: ClassifierProblem = problem, bf16: bool = bf16) -> Tensor:
            generator = BatchGenerator(Shard.whole(len(images)), 0)
            with torch.autocast(machine.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
                return BIM(steps=10).perturb(problem, images, generator)

        with findings.attempt("graph", f"{layout}, bf16={bf16}") as found:
            found["loop (ms)"] = round(1000 * machine.seconds(partial(loop, images), CALLS, 2), 2)
            if machine.is_gpu:
                found |= _as_graph(machine, loop, images, net)


def _in_blocks(rows: Tensor, block: int, width: int) -> Tensor:
    with patch.object(spaces, "_GPU_BLOCK", (block, width)), patch.object(spaces, "_CPU_BLOCK", (block, width)):
        return gramian(rows)


def _by_pairs(rows: Tensor) -> Tensor:
    products = rows.new_zeros(len(rows), len(rows), dtype=torch.float64)
    for index in range(len(rows)):
        products[index, : index + 1] = (rows[index] * rows[: index + 1]).sum(1, dtype=torch.float64)
    return products.tril() + products.tril(-1).T


def _as_graph(
    machine: Machine, loop: Callable[[Tensor], Tensor], images: Tensor, net: torch.nn.Module
) -> dict[str, float]:
    """Duration of a replay, and the share of pixels in which it differs from the loop, before and after new weights."""
    given, side = images.clone(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            loop(given)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = loop(given)

    def differing() -> float:
        given.copy_(images)
        graph.replay()
        return float(((out - loop(images)).abs() > 1e-6).float().mean())

    found = {"differing": differing(), "graph (ms)": round(1000 * machine.seconds(graph.replay, CALLS), 2)}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.01)
    return found | {"differing after new weights": differing()}
