"""What the machine is, and whether it compiles."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch.cuda import nccl

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.packages import lacking
from gat_lightning.runs.environment import environment


def describe(machine: Machine) -> dict[str, Any]:
    """Versions, hardware, and what torch rounds to TF32 by default.

    Raises:
        RuntimeError: torch finds no GPU where there should be one.
    """
    if machine.is_gpu and not torch.cuda.is_available():
        raise RuntimeError("torch finds no GPU; --cpu OUT rehearses without one")
    found = environment(machine.device) | {"lacking": lacking()}
    if machine.is_gpu:
        properties = torch.cuda.get_device_properties(machine.device)
        found |= {
            "multiprocessors": properties.multi_processor_count,
            "compute capability": f"{properties.major}.{properties.minor}",
            "memory (GiB)": properties.total_memory >> 30,
            "CUDA": torch.version.cuda,
            "cuDNN": torch.backends.cudnn.version(),
            "NCCL": ".".join(map(str, nccl.version())) if dist.is_nccl_available() else None,
            "TF32 convolutions": torch.backends.cudnn.allow_tf32,
            "TF32 products": torch.get_float32_matmul_precision(),
        }
    return found


def compiles(machine: Machine) -> dict[str, Any]:
    """Whether torch.compile works here, and the largest error of a compiled function and of its gradient."""

    def function(x: torch.Tensor) -> torch.Tensor:
        return (x.sin() * x).sum()

    x = torch.linspace(-1, 1, 1000, device=machine.device).requires_grad_()
    compiled = torch.compile(function)
    (expected,), (found,) = (torch.autograd.grad(each(x), x) for each in (function, compiled))
    return {"largest error": float((expected - found).abs().max())}
