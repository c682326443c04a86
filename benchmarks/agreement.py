"""Whether contestants compute the same K gradients, and how short the combinations are that they find."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from benchmarks.ours import Ours
from benchmarks.peers import LibMTLPeer, Peer, TorchJDPeer
from benchmarks.timing import Tick
from benchmarks.work import TASKS, Work

TOLERANCE = 1e-5
PEERS: dict[str, type[Peer]] = {"LibMTL": LibMTLPeer, "TorchJD": TorchJDPeer}


def difference(ours: Tensor, other: Tensor) -> float:
    """Largest relative difference of a row of ``[K, P]``, ‖a - b‖ / ‖b‖."""
    return float(((ours - other).norm(dim=1) / other.norm(dim=1)).max())


def check(work: Work, tick: Tick) -> dict[str, dict[str, float]]:
    """Differences between our K gradients and the peers'.

    The attack starts at the images, so that all attack the same points. In float64 rounding plays no part; float32 is
    that of the timed steps. Finite differences approximate the curvature's rows: theirs are told apart.

    Returns:
        ``{precision: {contestant: largest relative difference to ours}}``.

    Raises:
        AssertionError: in float64 a peer's gradients differ from ours by more than :data:`TOLERANCE`.
    """
    found: dict[str, dict[str, float]] = {}
    for dtype in ("float64", "float32"):
        same = replace(work, dtype=dtype, random_start=False)
        tick(f"agreement, {dtype}")
        ours = Ours(same).gradients(0)
        found[dtype] = {name: difference(ours, peer(same).gradients(0)) for name, peer in PEERS.items()}
        differences = Ours(same, derivative="finite_difference").gradients(0)
        losses = 2 * len(TASKS)
        found[dtype]["finite differences, losses"] = difference(differences[:losses], ours[:losses])
        found[dtype]["finite differences, curvature"] = difference(differences[losses:], ours[losses:])
    for name in PEERS:
        if not found["float64"][name] <= TOLERANCE:
            raise AssertionError(f"the gradients of {name} differ from ours by {found['float64'][name]:.1e}")
    return found


def step_norms(work: Work) -> dict[str, float]:
    """Norm of each contestant's combined gradient after one step from the same weights on the same batch."""
    same = replace(work, random_start=False)
    norms = {}
    for name, contestant in {"ours": Ours, **PEERS}.items():
        stepper = contestant(same)
        stepper.step(0)
        norms[name] = stepper.norm()
    return norms
