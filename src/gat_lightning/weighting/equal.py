"""The sum of the objectives."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.weighting.base import Weighting


class Equal(Weighting):
    """Weight 1 for every objective: the sum of eq. 4 of the GAT paper, whose gradient is that of ``.backward()``.

    The weights do not add up to 1, so that one more task leaves the steps of the others as they are.
    """

    adaptive = False

    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """Ones ``[K]``, float64 on the CPU, whatever the Gramian ``[K, K]``."""
        return torch.ones(len(gramian), dtype=torch.float64)
