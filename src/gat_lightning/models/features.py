"""Features: the encoder's output for the decoders, and the decoders of single labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn


class Features(NamedTuple):
    """Output of an encoder θ^s.

    Attributes:
        pooled: ``[B, D]``, the penultimate layer, where label tasks attach.
        stages: feature maps from fine to coarse, ``[B, c_i, h_i, w_i]``; empty where the encoder has none.
    """

    pooled: Tensor
    stages: tuple[Tensor, ...] = ()

    def tapped(self) -> Features:
        """The same values as tensors of their own, on which nothing but the decoders depends.

        Derivatives with respect to them are those of the decoders' inputs: the one of a stage has no part that comes by
        way of later stages.
        """
        return Features(self.pooled.view_as(self.pooled), tuple(stage.view_as(stage) for stage in self.stages))


@dataclass(frozen=True)
class FeatureInfo:
    """Shapes of an encoder's :class:`Features` for one image size.

    Attributes:
        dim: D, the width of ``pooled``.
        stages: ``(c, h, w)`` of each stage.
        image: ``(C, H, W)`` of the input.
    """

    dim: int
    stages: tuple[tuple[int, int, int], ...]
    image: tuple[int, int, int]


Encode = Callable[[Tensor], Features]
"""Images ``[B, C, H, W]`` in [0, 1] -> features: the model's encoder, run in one way or another."""


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
