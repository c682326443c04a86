"""The device that a measurement runs on, and sizes that suit it."""

from __future__ import annotations

import gc
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch._dynamo

from benchmarks.gpu.switches import Switches, switched
from benchmarks.work import Work

_T = TypeVar("_T")


@dataclass(frozen=True)
class Machine:
    """A GPU, or a CPU that rehearses what a GPU is to do.

    Attributes:
        name: of the device to run on, as torch has it.
        folder: for temporary files.
        runs: folder of the trainings that are kept.
        data: images of CIFAR-10 for those trainings, an .npz file as ``data=arrays`` reads it; None without any.
    """

    name: str
    folder: Path
    runs: Path
    data: Path | None

    @property
    def device(self) -> torch.device:
        """To run on."""
        return torch.device(self.name)

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

    def measure(self, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
        """Figures that a function finds on this machine, not disturbed by what was measured before."""
        warnings.simplefilter("ignore")
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        torch._dynamo.reset()
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        with switched(Switches()):
            return function(self, *arguments)
