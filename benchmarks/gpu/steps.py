"""A training step without a trainer: duration, kernels, memory, in each precision and memory layout."""

from __future__ import annotations

from collections import Counter
from itertools import count
from time import perf_counter
from typing import Any

import torch
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.switches import Switches, switched
from benchmarks.ours import Ours

STEPS, WARMUP = 8, 3
LONGEST = 6
"""Kernels whose durations are kept."""

CURVATURES = {"without curvature": "off", "finite differences": "finite_difference", "exact curvature": "exact"}
"""``derivative`` of :class:`~benchmarks.ours.Ours` by what it is called."""

BEFORE, EXACT, FAST = "eager fp32 of before", "engine=exact", "engine=fast"
ENGINES: dict[str, tuple[dict[str, bool], Switches]] = {
    BEFORE: ({}, Switches(deterministic=True)),
    EXACT: ({}, Switches(tf32=False, deterministic=True, fill=False)),
    FAST: ({"compiled": True, "channels_last": True, "bf16": True}, Switches(tf32=False, benchmark=True)),
}
"""Settings of :class:`~benchmarks.ours.Ours`, and torch's switches. The first is what the project had without a choice
of engine: torch's defaults, and ``trainer.deterministic=warn``, which fills every empty tensor."""


def grid(compiled: bool) -> dict[str, dict[str, Any]]:
    """Settings of a step by what they are called: precisions, memory layouts and curvatures."""
    return {
        ", ".join(
            ("compiled" if compiled else "eager", "bf16" if bf16 else "fp32", *("channels-last",) * last, curvature)
        ): {"compiled": compiled, "bf16": bf16, "channels_last": last, "derivative": derivative}
        for curvature, derivative in CURVATURES.items()
        for bf16 in (False, True)
        for last in (False, True)
    }


def step(machine: Machine, settings: dict[str, Any], switches: Switches) -> dict[str, Any]:
    """Milliseconds of a step, images per second, peak memory and kernels; of compiled passes, how many graphs."""
    counters.clear()
    with switched(switches):
        made, index = Ours(machine.work, **settings), count()
        began = perf_counter()
        made.step(next(index))
        machine.wait()
        found: dict[str, Any] = {"first step (s)": round(perf_counter() - began, 1)}
        seconds = machine.seconds(lambda: made.step(next(index)), STEPS, WARMUP)
        found |= {"ms": round(1000 * seconds, 2), "images per second": round(machine.work.batch / seconds)}
        if machine.is_gpu:
            found["peak memory (GiB)"] = round(torch.cuda.max_memory_allocated(machine.device) / 2**30, 2)
        try:
            found |= _profiled(machine, made, next(index))
        except RuntimeError as error:  # a driver may forbid it; the duration counts all the same
            found["profiler"] = str(error)
    if settings.get("compiled"):
        found["graphs"] = counters["stats"]["unique_graphs"]
        if not found["graphs"]:
            raise RuntimeError("nothing was compiled")
    return found


def _profiled(machine: Machine, made: Ours, index: int) -> dict[str, Any]:
    """Kernels of one step by the profiler: how many, how long all take, and those that take longest."""
    activities = [ProfilerActivity.CPU, *machine.sized([ProfilerActivity.CUDA], [])]
    with profile(activities=activities, acc_events=True) as profiler:  # torch 2.11 warns without it
        made.step(index)
        machine.wait()
    events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    kernels = [event for event in events if "Memcpy" not in event.name and "Memset" not in event.name]
    longest: Counter[str] = Counter()
    for event in kernels:
        longest[event.name[:60]] += round(event.time_range.elapsed_us())
    return {
        "kernels": len(kernels),
        "copies": len(events) - len(kernels),
        "fills": sum("FillFunctor" in event.name for event in kernels),
        "busy ms": round(sum(event.time_range.elapsed_us() for event in events) / 1000, 2),
        "longest (us)": dict(longest.most_common(LONGEST)),
    }
