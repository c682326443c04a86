"""Relative depth."""

from __future__ import annotations

import torch
from torch import Tensor


def standardised(depth: Tensor) -> Tensor:
    """Each map ``[B, 1, H, W]`` shifted and scaled to [0, 1]; 0 where it is constant, NaN if a value is not finite."""
    least = depth.amin((1, 2, 3), keepdim=True)
    extent = depth.amax((1, 2, 3), keepdim=True) - least
    return (depth - least) / torch.where(extent == 0, 1, extent)
