"""Switches of torch that a step's duration and precision depend on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.utils import deterministic


@dataclass(frozen=True)
class Switches:
    """As torch has them when it is imported.

    Attributes:
        tf32: convolutions round their factors to TF32.
        deterministic: algorithms that give the same numbers in every run, where there are some.
        fill: where algorithms are deterministic, write a value into each empty tensor.
        benchmark: cuDNN tries its algorithms and takes the fastest.
    """

    tf32: bool = True
    deterministic: bool = False
    fill: bool = True
    benchmark: bool = False


@contextmanager
def switched(switches: Switches) -> Iterator[None]:
    """Set torch's switches; afterwards they are as torch has them."""
    _switch(switches)
    try:
        yield
    finally:
        _switch(Switches())


def _switch(switches: Switches) -> None:
    torch.backends.cudnn.allow_tf32 = switches.tf32
    torch.backends.cudnn.benchmark = switches.benchmark
    torch.use_deterministic_algorithms(switches.deterministic, warn_only=True)
    deterministic.fill_uninitialized_memory = switches.fill
