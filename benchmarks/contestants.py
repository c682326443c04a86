"""Everything that is timed against something, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from benchmarks.floor import Floor
from benchmarks.ours import Ours, Repeated
from benchmarks.peers import LibMTLPeer, TorchJDPeer
from benchmarks.work import Work
from gat_lightning.methods import Adversarial, Consistency, Madry
from gat_lightning.weighting import FAMO


class Contestant(Protocol):
    """One way to do a training step."""

    def step(self, index: int) -> None:
        """Do step ``index``."""


DERIVATIVES = {"": "exact", ", finite differences": "finite_difference", ", without curvature": "off"}
"""``derivative`` of :class:`~benchmarks.ours.Ours` by the end of a contestant's name."""

ENGINES: dict[str, dict[str, bool]] = {
    "ours": {},
    "ours, compiled channels-last": {"compiled": True, "channels_last": True},
    "fast": {"compiled": True, "channels_last": True, "bf16": True},
}
"""How passes are computed, by the beginning of a contestant's name: ``engine=exact``, and ``engine=fast`` without bf16
and with it."""

CYCLE = 10
"""Number of steps from one solve of the weighting to the next, where it is not solved in each."""

HALF_LABELLED = {
    "half without labels": Madry("separate"),
    "half without labels, consistency": Consistency(Madry("separate"), ramp=0.0),
}
"""Methods of contestants with the target's label for half of the images, by the beginning of their names."""

CONTESTANTS: dict[str, Callable[[Work], Contestant]] = {
    **{
        f"{engine}{curvature}": partial(Ours, derivative=derivative, **settings)
        for engine, settings in ENGINES.items()
        for curvature, derivative in DERIVATIVES.items()
    },
    **{
        f"two cycles{curvature}": partial(Repeated, count=2 * CYCLE, derivative=derivative, solve_every=CYCLE)
        for curvature, derivative in DERIVATIVES.items()
    },
    **{
        f"as many steps of a single task{losses}": partial(
            Repeated, count=2 * CYCLE, derivative="off", tasks=("class",), method=method
        )
        for losses, method in {"": Madry("combined"), ", adversarial losses alone": Adversarial()}.items()
    },
    **{
        f"{name}{curvature}": partial(Ours, derivative=derivative, method=method, labelled=0.5)
        for name, method in HALF_LABELLED.items()
        for curvature, derivative in DERIVATIVES.items()
    },
    "FAMO": partial(Ours, weighting=FAMO),
    "FAMO, without curvature": partial(Ours, weighting=FAMO, derivative="off"),
    "after the attack, parameters": partial(Ours, derivative="off", attack=False),
    "after the attack, representation": partial(Ours, derivative="off", attack=False, space="representation"),
    "LibMTL": LibMTLPeer,
    "LibMTL, without curvature": partial(LibMTLPeer, curvature=False),
    "TorchJD": TorchJDPeer,
    "floor": Floor,
}
