"""Task heads θ^t; every decoder is called with :class:`~gat_lightning.models.features.Features`."""

from __future__ import annotations

from torch import Tensor, nn

from gat_lightning.models.features import Features


class PooledDecoder(nn.Module):
    """Lets a head that was made for the penultimate layer alone be called with features.

    Args:
        head: takes ``[B, D]``.

    Shape:
        ``Features`` with ``pooled`` ``[B, D]`` -> the output of ``head``.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Features) -> Tensor:
        """Apply the head to the penultimate layer."""
        return self.head(features.pooled)


class LinearDecoder(PooledDecoder):
    """One linear layer at the penultimate layer, where the paper attaches label tasks (section 4.1).

    Args:
        dim: D, the width of ``pooled``.
        outputs: K, at least 1.

    Shape:
        ``Features`` with ``pooled`` ``[B, D]`` -> ``[B, K]``.
    """

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__(nn.Linear(dim, outputs))
