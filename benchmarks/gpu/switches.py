"""Switches of torch that a step's duration and precision depend on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from gat_lightning.gradients.tf32 import tf32
from gat_lightning.training.callbacks.numerics import without_fills


@dataclass(frozen=True)
class Switches:
    """As torch has them when it is imported.

    Attributes:
        tf32: whether convolutions and matrix products round their factors to TF32; None: convolutions alone.
        deterministic: algorithms that give the same numbers in every run, where there are some.
        fill: where algorithms are deterministic, write a value into each empty tensor.
        benchmark: cuDNN tries its algorithms and takes the fastest.
    """

    tf32: bool | None = None
    deterministic: bool = False
    fill: bool = True
    benchmark: bool = False


@contextmanager
def switched(switches: Switches) -> Iterator[None]:
    """Set torch's switches, which are put back afterwards."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    with ExitStack() as stack:
        if switches.tf32 is not None:
            stack.enter_context(tf32(switches.tf32))
        if not switches.fill:
            stack.enter_context(without_fills())
        _switch(switches.deterministic, switches.benchmark)
        try:
            yield
        finally:
            _switch(*before)


def _switch(deterministic: bool, benchmark: bool) -> None:
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = benchmark
