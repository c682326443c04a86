"""Training steps on a GPU, without a trainer: precision, duration, kernels, compiled passes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import wraps
from itertools import count
from typing import Any
from unittest.mock import patch

import torch
import torch._dynamo
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.findings import Findings
from benchmarks.gpu_machine import Machine
from benchmarks.ours import Ours
from benchmarks.work import Work
from gat_lightning.training import passes
from gat_lightning.training.passes import Passes

STEPS, WARMUP = 8, 3
DERIVATIVES = ("exact", "finite_difference")
OFF: dict[str, Any] = {"derivative": "off"}
FAST: dict[str, Any] = {"bf16": True, "channels_last": True}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, bool]]] = {
    "fp32": (OFF, {}),
    "fp32, deterministic": (OFF, {"deterministic": True}),
    "fp32, cudnn.benchmark": (OFF, {"benchmark": True}),
    "fp32, channels-last": (OFF | {"channels_last": True}, {}),
    "bf16": (OFF | {"bf16": True}, {}),
    "bf16, channels-last": (OFF | FAST, {}),
    "bf16, channels-last, deterministic": (OFF | FAST, {"deterministic": True}),
    "bf16, channels-last, cudnn.benchmark": (OFF | FAST, {"benchmark": True}),
    "bf16, channels-last, exact curvature": (FAST, {}),
    "bf16, channels-last, finite differences": (FAST | {"derivative": "finite_difference"}, {}),
    "fp32, exact curvature": ({}, {}),
    "bf16, channels-last, without attack": (OFF | FAST | {"attack": False}, {}),
}
"""Settings of :class:`~benchmarks.ours.Ours`, and of cuDNN, by what they are called."""


def numerics(findings: Findings, machine: Machine) -> None:
    """Gradients in float64 on the CPU against the device's in three precisions; whether a step is the same twice."""
    work = replace(machine.work, width=8, batch=machine.sized(16, 4), dtype="float64", random_start=False)
    for derivative in DERIVATIVES:
        reference, weights, names = _gradients(replace(work, device="cpu"), derivative)
        for precision in ("float64", "ieee", "tf32"):
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
            with findings.attempt("numerics", f"{derivative}, {precision}") as found:
                dtype = "float64" if precision == "float64" else "float32"
                rows, given, _ = _gradients(replace(work, dtype=dtype), derivative)
                found["relative errors"] = dict(zip(names, _relative_errors(rows, reference), strict=True))
                found["largest error of a weight"] = float((given - weights).abs().max())
    torch.backends.cudnn.allow_tf32 = True
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        first, second = (_gradients(replace(work, dtype="float32"), "exact")[0] for _ in range(2))
        difference = float((first - second).abs().max())
        findings.say("numerics", f"same twice, deterministic={deterministic}", difference=difference)


def variants(findings: Findings, machine: Machine) -> None:
    """A step of three tasks in each precision and memory layout: duration, kernels, how busy the GPU is, memory."""
    for name, (settings, flags) in VARIANTS.items():
        if not findings.has_time("step", machine.sized(130, 0)):
            return
        torch.use_deterministic_algorithms(flags.get("deterministic", False), warn_only=True)
        torch.backends.cudnn.benchmark = flags.get("benchmark", False)
        with findings.attempt("step", name) as found:
            found |= _measured(machine, Ours(machine.work, **settings))
    torch.backends.cudnn.benchmark = False


def compiled(findings: Findings, machine: Machine) -> None:
    """A step with the attack's passes compiled, and with every pass compiled although BatchNorm's statistics move."""
    torch._dynamo.config.recompile_limit = 64
    for name, every, settings in (
        ("attack alone", False, OFF),
        ("every pass", True, OFF),
        ("every pass, finite differences", True, {"derivative": "finite_difference"}),
        ("every legal pass, exact", True, {}),
    ):
        if not findings.has_time("compiled", machine.sized(60, 0)):
            return
        torch._dynamo.reset()
        with findings.attempt("compiled", name) as found, ExitStack() as stack:
            if every:
                stack.enter_context(_every_pass_compiled())
            began = time.perf_counter()
            made = Ours(machine.work, compiled=True, **settings, **machine.sized(FAST, {}))
            made.step(0)
            machine.wait()
            found["first step (s)"] = round(time.perf_counter() - began, 1)
            found |= _speed(machine, made)


def _gradients(work: Work, derivative: str) -> tuple[Tensor, Tensor, Sequence[str]]:
    """The K gradients ``[K, P]`` of a step in float64 on the CPU, their weights and their names."""
    made = Ours(work, derivative)
    return made.gradients(0).double().cpu(), made.last.weights, made.last.names


def _relative_errors(rows: Tensor, reference: Tensor) -> list[float]:
    return ((rows - reference).norm(dim=1) / reference.norm(dim=1)).tolist()


def _measured(machine: Machine, made: Ours) -> dict[str, Any]:
    if not machine.is_gpu:
        return _speed(machine, made)
    torch.cuda.reset_peak_memory_stats()
    found = _speed(machine, made)
    return found | _profiled(made) | {"peak memory (GiB)": round(torch.cuda.max_memory_allocated() / 2**30, 2)}


def _speed(machine: Machine, made: Ours) -> dict[str, Any]:
    index = count()
    seconds = machine.seconds(lambda: made.step(next(index)), STEPS, WARMUP)
    return {"ms": round(1000 * seconds, 2), "images per second": round(len(made.batch(0).images) / seconds)}


def _profiled(made: Ours) -> dict[str, Any]:
    """Kernels of one step by the profiler."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        made.step(STEPS + WARMUP)
        torch.cuda.synchronize()
    events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    kernels = [event for event in events if "Memcpy" not in event.name and "Memset" not in event.name]
    longest: Counter[str] = Counter()
    for event in kernels:
        longest[event.name[:60]] += event.time_range.elapsed_us()
    return {
        "kernels": len(kernels),
        "copies": len(events) - len(kernels),
        "fills": sum("FillFunctor" in event.name for event in kernels),
        "busy ms": round(sum(event.time_range.elapsed_us() for event in events) / 1000, 2),
        "longest (us)": longest.most_common(6),
    }


@contextmanager
def _every_pass_compiled() -> Iterator[None]:
    """Compile passes in training mode too: autograd does not see that they change BatchNorm's buffers."""

    def unseen(run: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(run)
        def kept(self: Passes, *args: Any) -> Any:
            with torch.autograd._unsafe_preserve_version_counter(tuple(self.model.buffers())):
                return run(self, *args)

        return kept

    with (
        patch.object(passes, "has_moving_statistics", lambda model: False),
        patch.object(Passes, "run", unseen(Passes.run)),
        patch.object(Passes, "clean", unseen(Passes.clean)),
    ):
        yield
