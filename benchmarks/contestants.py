"""Everything that is timed against something, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from benchmarks.floor import Floor
from benchmarks.ours import Ours
from benchmarks.peers import LibMTLPeer, TorchJDPeer
from benchmarks.work import Work


class Contestant(Protocol):
    """One way to do a training step."""

    def step(self, index: int) -> None:
        """Do step ``index``."""


FAST_GPU = partial(Ours, compiled=True, channels_last=True, bf16=True)

CONTESTANTS: dict[str, Callable[[Work], Contestant]] = {
    "ours": Ours,
    "ours, finite differences": partial(Ours, derivative="finite_difference"),
    "ours, compiled": partial(Ours, compiled=True),
    "ours, compiled, finite differences": partial(Ours, derivative="finite_difference", compiled=True),
    "ours, bf16 compiled channels-last": FAST_GPU,
    "ours, bf16 compiled channels-last, finite differences": partial(FAST_GPU, derivative="finite_difference"),
    "after the attack, parameters": partial(Ours, derivative="off", attack=False),
    "after the attack, representation": partial(Ours, derivative="off", attack=False, space="representation"),
    "LibMTL": LibMTLPeer,
    "TorchJD": TorchJDPeer,
    "floor": Floor,
}
