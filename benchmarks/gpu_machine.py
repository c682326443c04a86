"""The device that a measurement runs on, and sizes that suit it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from benchmarks.work import Work

_T = TypeVar("_T")


@dataclass(frozen=True)
class Machine:
    """A GPU, or a CPU that rehearses what a GPU is to do.

    Attributes:
        device: to run on.
        folder: for temporary files.
    """

    device: torch.device
    folder: Path

    @property
    def is_gpu(self) -> bool:
        """Whether figures mean something."""
        return self.device.type == "cuda"

    def sized(self, on_gpu: _T, on_cpu: _T) -> _T:
        """One of two sizes of the work."""
        return on_gpu if self.is_gpu else on_cpu

    @property
    def work(self) -> Work:
        """Three tasks on a pre-activation ResNet-18 of width 64, batches of 128 images of 32 x 32 pixels, PGD-10."""
        on_gpu = Work(width=64, batch=128, threads=0, device=self.device.type)
        return self.sized(on_gpu, Work("preact_resnet_small", width=16, batch=4, size=8, steps=1, threads=0))

    def seconds(self, call: Callable[[], object], calls: int, warmup: int = 1) -> float:
        """Mean duration of a call, after some that do not count."""
        calls, warmup = self.sized((calls, warmup), (1, 1))
        for _ in range(warmup):
            call()
        self.wait()
        began = time.perf_counter()
        for _ in range(calls):
            call()
        self.wait()
        return (time.perf_counter() - began) / calls

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def reset(self) -> None:
        """Switch deterministic algorithms off and free memory."""
        torch.use_deterministic_algorithms(False)
        if self.is_gpu:
            self.wait()
            torch.cuda.set_sync_debug_mode("default")
            torch.cuda.empty_cache()
