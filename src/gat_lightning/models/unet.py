"""The U-Net decoder of tasks whose output is an image."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gat_lightning.models.features import Features

# A level of the decoder has one channel for so many of its stage's.
_SHARE = 4

_NARROWEST = 8

Shape = tuple[int, int, int]
Size = tuple[int, int]


class UNetDecoder(nn.Module):
    """The expanding path of a U-Net, with a skip connection from every stage of the encoder.

    Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation" (MICCAI 2015), which the paper
    attaches for dense tasks (section 4.1). From the coarsest stage on: enlarge, concatenate with the next finer stage,
    3x3 convolution, BatchNorm, ReLU. A level has a quarter of its stage's channels (at least 8), so that the decoder is
    small beside the encoder, and the stage's resolution, or the output's where that is coarser. What is then missing to
    the output's resolution (an encoder may begin by down-sampling) is made up by levels that double it with half of
    the channels each.

    A stage may be of any size, also that of its neighbour. Its map goes through BatchNorm and ReLU first, since the
    stages of pre-activation networks are neither normalised nor activated.

    Args:
        stages: ``(c, h, w)`` of the encoder's stages from fine to coarse, at least one.
        output: ``(c, h, w)`` of the output.

    Shape:
        ``Features`` with such ``stages`` -> ``[B, c, h, w]``, any real numbers.
    """

    def __init__(self, stages: Sequence[Shape], output: Shape) -> None:
        super().__init__()
        channels, *limit = output
        sizes = [(min(height, limit[0]), min(width, limit[1])) for _, height, width in stages]
        widths = [_narrow(stage[0], _SHARE) for stage in stages]
        self.skips = nn.ModuleList(
            _Skip(stage, width, size) for stage, width, size in zip(stages, widths, sizes, strict=True)
        )
        levels = list(zip(widths, sizes, strict=True))
        self.levels = nn.ModuleList(_Level(coarse, fine, fine[0]) for fine, coarse in pairwise(levels))
        self.enlarging = nn.Sequential()
        width, size = levels[0]
        while size != (limit[0], limit[1]):
            level = _narrow(width, 2), (min(2 * size[0], limit[0]), min(2 * size[1], limit[1]))
            self.enlarging.append(_Level((width, size), level))
            width, size = level
        self.output = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, features: Features) -> Tensor:
        """Decode the stages."""
        *finer, x = [skip(stage) for skip, stage in zip(self.skips, features.stages, strict=True)]
        for level, skip in zip(reversed(self.levels), reversed(finer), strict=True):
            x = level(x, skip)
        return self.output(self.enlarging(x))


class _Skip(nn.Sequential):
    """What the decoder takes of a stage: ``[B, c, h, w]`` -> ``[B, width, *size]``."""

    def __init__(self, stage: Shape, width: int, size: Size) -> None:
        channels, *own = stage
        super().__init__(
            nn.BatchNorm2d(channels), nn.ReLU(), _Resize((own[0], own[1]), size), nn.Conv2d(channels, width, 1)
        )


class _Level(nn.Module):
    """From (channels, size) of a coarser level to those of a finer one, with ``skipped`` channels from a stage."""

    def __init__(self, coarse: tuple[int, Size], fine: tuple[int, Size], skipped: int = 0) -> None:
        super().__init__()
        self.resize = _Resize(coarse[1], fine[1])
        self.conv = nn.Conv2d(coarse[0] + skipped, fine[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(fine[0])

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Enlarge, concatenate and mix."""
        x = self.resize(x)
        return F.relu(self.norm(self.conv(x if skip is None else torch.cat([x, skip], 1))))


class _Resize(nn.Module):
    """Maps of another size: the nearest value where they grow, the mean over each new pixel's area where they shrink.

    The mean is a product with constant matrices: unlike those of pooling and of bilinear interpolation, its derivative
    adds up in the same order in every run, on a GPU too.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, before: Size, after: Size) -> None:
        super().__init__()
        self.after = after
        self.same, self.grows = before == after, all(new >= old for old, new in zip(before, after, strict=True))
        if not self.grows:
            self.register_buffer("rows", _overlap(before[0], after[0]), persistent=False)
            self.register_buffer("columns", _overlap(before[1], after[1]).T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, c, *before]`` -> ``[B, c, *after]``."""
        if self.same:
            return x
        if self.grows:
            return F.interpolate(x, self.after, mode="nearest")
        return self.rows @ x @ self.columns


def _overlap(before: int, after: int) -> Tensor:
    """Part of each of ``after`` equal intervals that each of ``before`` covers, ``[after, before]``; rows sum to 1."""
    old, new = torch.arange(before + 1) * after, torch.arange(after + 1) * before
    ends = torch.minimum(new[1:, None], old[1:])
    starts = torch.maximum(new[:-1, None], old[:-1])
    return (ends - starts).clamp(min=0) / before


def _narrow(channels: int, divisor: int) -> int:
    return max(_NARROWEST, channels // divisor)
