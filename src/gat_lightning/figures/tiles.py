"""Grids of small captioned images, wrapped to stay readable on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

_WIDTH = 4.4
_HEIGHT = 1.3
_LETTER = 0.075
FONT = 9


def tiles(rows: Sequence[str], images: int, longest: int, *, columns: int = 4) -> tuple[Figure, NDArray[np.object_]]:
    """Create a figure about 4.5 inches wide with a column of axes per image, in several rows if necessary.

    Args:
        rows: names of the rows of each image.
        images: number of images.
        longest: length of the longest caption; long captions reduce the number of columns.
        columns: maximum number of columns.

    Returns:
        The figure, and its axes ``[len(rows), images]``.
    """
    needed = max(1.0, _LETTER * longest)
    beside = max(1, min(images, columns, int(max(_WIDTH, columns) / needed)))
    blocks = -(-images // beside)
    size = (max(needed * beside, 2.5) + 0.5, _HEIGHT * len(rows) * blocks + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(blocks * len(rows), beside, squeeze=False)
    for place in range(images, blocks * beside):
        for row in range(len(rows)):
            axes[(blocks - 1) * len(rows) + row, place % beside].set_axis_off()
    for position, row in enumerate(axes):
        row[0].set_ylabel(fill(rows[position % len(rows)], 14), fontsize=FONT)
    found = np.empty((len(rows), images), dtype=object)
    for image in range(images):
        block, column = divmod(image, beside)
        found[:, image] = axes[block * len(rows) : (block + 1) * len(rows), column]
    return figure, found


def show_image(axes: Axes, image: Tensor, title: str = "", colour: str = "black", cmap: str = "gray") -> None:
    """Draw one image ``[C, H, W]`` in [0, 1] without ticks; grey images use ``cmap``."""
    pixels = image.detach().cpu().clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy()
    axes.imshow(pixels, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=FONT, color=colour, pad=3)
    axes.set_xticks([])
    axes.set_yticks([])
