"""Base class of weightings that modify gradients pair by pair, in random order."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gat_lightning.randomness import generator_for
from gat_lightning.weighting.directional import DirectionalWeighting
from gat_lightning.weighting.min_norm import Indices


class GradientSurgery(DirectionalWeighting):
    """A weighting that visits the ordered pairs of objectives in random order.

    The orders of a call follow from the seed, the number of calls before it, and the names of the objectives: so all
    ranks and a resumed run draw the same ones, and they do not depend on how the objectives are arranged.

    Args:
        seed: seed of the orders.
    """

    purpose: str

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.calls = 0

    def draw_orders(self, names: Sequence[str]) -> Indices:
        """The orders of the next call, ``[K, K - 1]``: row i has the other objectives as i meets them."""
        generator = generator_for(self.seed, self.purpose, self.calls)
        self.calls += 1
        keys = torch.rand(len(names), len(names), generator=generator, dtype=torch.float64).numpy()
        ranks = np.argsort(np.argsort(np.array(names)))
        keys = keys[ranks[:, None], ranks]
        np.fill_diagonal(keys, np.inf)
        return np.argsort(keys, axis=1)[:, :-1]

    def state(self) -> dict[str, Any]:
        """The number of calls so far."""
        return {"calls": self.calls}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Weighting.load_state`."""
        self.calls = int(state.get("calls", 0))
