"""Curvature objectives' gradients by finite differences, against the double backward, on a network that has learnt."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.ours import Ours
from benchmarks.timing import Tick
from benchmarks.work import TASKS, Work

DISPLACEMENTS = (3.0, 1.0, 0.3, 0.1, 0.01)
"""Lengths h of a displacement of an image, in L2 and pixels."""

LEARNT = 60
"""Training steps before the comparison."""


def compare(work: Work, tick: Tick, steps: int = LEARNT) -> dict[str, dict[str, float]]:
    """Errors of a small pre-activation ResNet after some steps of training, for each displacement and scheme.

    Returns:
        ``{"forward, h = 1": {"relative error": ..., "cosine": ...}}``, the means over the curvature objectives.
    """
    small = replace(work, encoder="preact_resnet_small", width=16, batch=2 * work.batch)
    learnt = Ours(small)
    for index in range(steps):
        tick(f"training, step {index + 1} of {steps}")
        learnt.step(index)
    weights = learnt.module.passes.model.state_dict()

    def curvature(**settings: object) -> Tensor:
        ours = Ours(small, **settings)  # type: ignore[arg-type]
        ours.module.passes.model.load_state_dict(weights)
        return ours.gradients(steps)[2 * len(TASKS) :].double()

    exact, found = curvature(), {}
    for scheme in ("forward", "central"):
        for length in DISPLACEMENTS:
            tick(f"{scheme} differences, h = {length:g}")
            rows = curvature(derivative="finite_difference", displacement=length, scheme=scheme)
            found[f"{scheme}, h = {length:g}"] = {
                "relative error": float(((rows - exact).norm(dim=1) / exact.norm(dim=1)).mean()),
                "cosine": float(torch.cosine_similarity(rows, exact).mean()),
            }
    return found
