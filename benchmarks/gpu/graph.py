"""An attack as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.machine import Machine
from gat_lightning import BIM, BatchGenerator, ClassifierProblem, Shard

CALLS, STEPS = 5, 10
WARMUP = 3
"""Calls on a side stream before the capture."""


def attack(machine: Machine, bf16: bool) -> dict[str, Any]:
    """Milliseconds of an attack's loop and of a CUDA graph of it, and the share of pixels in which the two differ.

    In bf16 the layout is channels-last.
    """
    net, batch = machine.work.model().single_task().eval().requires_grad_(False), machine.work.data(0)
    layout = torch.channels_last if bf16 else torch.contiguous_format
    images = batch.images.contiguous(memory_format=layout)
    problem = ClassifierProblem(net.to(memory_format=layout), batch.labels["class"])

    def loop(images: Tensor) -> Tensor:
        generator = BatchGenerator(Shard.whole(len(images)), 0)
        with torch.autocast(machine.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
            return BIM(steps=STEPS).perturb(problem, images, generator)

    found = {"loop (ms)": round(1000 * machine.seconds(lambda: loop(images), CALLS, 2), 2)}
    return found | _captured(machine, loop, images, net) if machine.is_gpu else found


def _captured(machine: Machine, loop: Callable[[Tensor], Tensor], images: Tensor, net: nn.Module) -> dict[str, float]:
    """Duration of a replay, and the pixels that differ from the loop's, before and after the weights have changed."""
    given, side = images.clone(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARMUP):
            loop(given)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = loop(given)

    def differing() -> float:
        given.copy_(images)
        graph.replay()
        return float(((out - loop(images)).abs() > 1e-6).float().mean())

    found = {"graph (ms)": round(1000 * machine.seconds(graph.replay, CALLS), 2), "differing pixels": differing()}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.01)
    return found | {"differing pixels after new weights": differing()}
