"""Gradients of a step on the device, in each precision, against float64 on the CPU."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.switches import Switches, switched
from benchmarks.ours import Ours
from benchmarks.work import Work

PRECISIONS: dict[str, tuple[str, bool, Switches]] = {
    "float64": ("float64", False, Switches(tf32=False)),
    "fp32": ("float32", False, Switches(tf32=False)),
    "TF32": ("float32", False, Switches(tf32=True)),
    "bf16": ("float32", True, Switches(tf32=False)),
}
"""Data type of the weights, whether under autocast to bf16, and torch's switches."""


class Gradients(NamedTuple):
    """What a step computed: the K gradients ``[K, P]`` in float64 on the CPU, their weights and their names."""

    rows: Tensor
    weights: Tensor
    names: tuple[str, ...]


def against_float64(machine: Machine, derivative: str, precision: str) -> dict[str, Any]:
    """Relative errors ‖a - b‖ / ‖b‖ of the K gradients, and the largest error of a weight."""
    work = _work(machine)
    dtype, bf16, switches = PRECISIONS[precision]
    reference = _reference(work, derivative)
    with switched(switches):
        found = _gradients(replace(work, dtype=dtype), derivative, bf16)
    errors = ((found.rows - reference.rows).norm(dim=1) / reference.rows.norm(dim=1)).tolist()
    by_name = dict(zip(reference.names, errors, strict=True))
    return {
        "largest error of a gradient": max(errors),
        "largest error of a weight": float((found.weights - reference.weights).abs().max()),
        "errors": by_name,
    }


def same_twice(machine: Machine, deterministic: bool) -> dict[str, Any]:
    """Largest difference between the gradients of the same step done twice in float32."""
    with switched(Switches(tf32=False, deterministic=deterministic, fill=False)):
        first, second = (_gradients(replace(_work(machine), dtype="float32"), "exact").rows for _ in range(2))
    return {"largest difference": float((first - second).abs().max())}


def _work(machine: Machine) -> Work:
    """A narrow model and few images, since the CPU has to do it too."""
    return replace(machine.work, width=8, batch=machine.sized(16, 4), dtype="float64", random_start=False)


@cache
def _reference(work: Work, derivative: str) -> Gradients:
    return _gradients(replace(work, device="cpu"), derivative)


def _gradients(work: Work, derivative: str, bf16: bool = False) -> Gradients:
    made = Ours(work, derivative, bf16=bf16)
    rows = made.gradients(0).double().cpu()
    return Gradients(rows, made.last.weights.double().cpu(), tuple(made.last.names))
