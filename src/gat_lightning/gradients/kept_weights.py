"""The weights of the last solve, which the steps until the next one use."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from gat_lightning.gradients.objectives import GradientStep

_SLACK = 1e-9


class KeptWeights:
    """When the weighting is solved, and what its weights are meanwhile.

    It is solved at every ``every``-th step, the first one included, and at a step with an objective that no solve has
    weighed yet. In between the objectives that are present keep their weights of the last solve. Where those summed to
    one, they are divided by what the present ones sum to; are these all zero, each gets the same. An objective whose
    gradient was zero at the last solve has its weight of an earlier one, or none.

    Args:
        every: number of steps from one solve to the next, at least 1.

    Attributes:
        steps: number of steps so far.
        solved: the last step at which the weights were found; None before the first.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.steps = 0
        self.solved: GradientStep | None = None
        self._weights: dict[str, float] = {}
        self._shares = False

    def find(self, names: Sequence[str]) -> Tensor | None:
        """Weights ``[K]`` of these objectives, float64; None if they are to be solved for in this step."""
        if self.steps % self.every == 0 or not self._weights.keys() >= set(names):
            return None
        weights = torch.tensor([self._weights[name] for name in names], dtype=torch.float64)
        if not self._shares:
            return weights
        total = weights.sum()
        return weights / total if total > 0 else torch.full_like(weights, 1 / len(names))

    def record(self, step: GradientStep) -> None:
        """Take down a step that was made."""
        self.steps += 1
        if not step.solved:
            return
        self.solved = step
        self._shares = abs(float(step.weights.sum()) - 1) <= _SLACK
        for name, weight in zip(step.names, step.weights.tolist(), strict=True):
            if name not in step.empty or weight:
                self._weights[name] = weight
            else:
                self._weights.setdefault(name, 0.0)

    def state(self) -> dict[str, Any]:
        """Plain types and tensors, for the checkpoint."""
        solved = None if self.solved is None else asdict(self.solved)
        return {"steps": self.steps, "weights": dict(self._weights), "shares": self._shares, "solved": solved}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` gave; an empty one is that of no step."""
        self.steps = state.get("steps", 0)
        self._weights, self._shares = dict(state.get("weights", {})), state.get("shares", False)
        self.solved = GradientStep(**state["solved"]) if state.get("solved") else None
