"""Prediction of histograms of oriented gradients (HOG)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gat_lightning.info import DataInfo
from gat_lightning.tasks.dense import DenseTask
from gat_lightning.validate import check_int

_SMALLEST_CELL, _LARGEST_CELL, _CELLS = 2, 8, 8
_EPSILON = 1e-5
_CEILING = 0.2


class HOG(DenseTask):
    """Histograms of oriented gradients (Dalal & Triggs, CVPR 2005; paper, Table 5), as a map of blocks.

    The label is ``[B, cells_per_block² · orientations, h, w]`` with values in [0, 1]: h x w overlapping blocks, one
    cell apart, and for each block its cells' histograms, see :func:`histograms_of_gradients`.

    Args:
        orientations: bins of each histogram, over 180 degrees.
        pixels_per_cell: side of a cell; an eighth of the image's shorter side, but from 2 to 8, if None (4 for 32x32).
        cells_per_block: side of a block, within which histograms are normalised.

    Raises:
        SettingError: an argument is below 1.
    """

    name = "hog"
    labels_read = ()

    def __init__(self, orientations: int = 9, pixels_per_cell: int | None = None, cells_per_block: int = 2) -> None:
        self.orientations = check_int("orientations", orientations)
        self.pixels_per_cell = check_int("pixels_per_cell", pixels_per_cell, also=(None,))
        self.cells_per_block = check_int("cells_per_block", cells_per_block)

    def setup(self, data: DataInfo) -> None:
        """Learn the size of the cells and the number of the blocks.

        Raises:
            ValueError: the image is smaller than a block.
        """
        _, height, width = data.image
        shorter = min(height, width)
        self._cell = self.pixels_per_cell or min(max(shorter // _CELLS, _SMALLEST_CELL), _LARGEST_CELL)
        blocks = [side // self._cell - self.cells_per_block + 1 for side in (height, width)]
        if min(blocks) < 1:
            raise ValueError(
                f"A block of {self.cells_per_block} x {self.cells_per_block} cells of {self._cell} x {self._cell}"
                f" pixels does not fit into the {height} x {width} pixels of '{data.name}': set pixels_per_cell and"
                f" cells_per_block to a product of at most {shorter}."
            )
        self.shape = (self.cells_per_block**2 * self.orientations, blocks[0], blocks[1])

    def wanted(self, images: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """The map of blocks."""
        return histograms_of_gradients(images, self.orientations, self._cell, self.cells_per_block)


def histograms_of_gradients(images: Tensor, orientations: int = 9, cell: int = 8, block: int = 3) -> Tensor:
    """The HOG descriptors of a batch, as ``skimage.feature.hog`` defines them with ``block_norm="L2-Hys"``.

    Central differences, 0 at the border, of the channel where they are largest; in each cell a histogram of the
    magnitudes over the orientations in [0°, 180°), every pixel in one bin; in each block of cells the histograms are
    divided by their common norm, cut off at 0.2 and divided by their norm again. Rows and columns that fill no cell are
    left out.

    Args:
        images: ``[B, C, H, W]``, float.
        orientations: number of bins n.
        cell: pixels along a cell's side.
        block: cells along a block's side, b.

    Returns:
        ``[B, b * b * n, H // cell - b + 1, W // cell - b + 1]``, where the channel of bin k of the cell in row i and
        column j of a block is (i * b + j) * n + k.
    """
    down, right = _strongest(*_differences(images))
    degrees = torch.rad2deg(torch.atan2(down, right)).remainder_(180)
    bins = degrees.div_(180 / orientations).long().clamp_(0, orientations - 1)
    magnitude = _length(down, right).to(images.dtype)
    cells = _histograms(magnitude, bins, orientations, cell)
    blocks = cells.unfold(1, block, 1).unfold(2, block, 1).permute(0, 4, 5, 3, 1, 2).flatten(1, 3)
    return _unit(_unit(blocks).clamp(max=_CEILING))


def _differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """Twice the slope down and to the right, both ``[B, C, H, W]``, 0 at the border."""
    down, right = images[:, :, 2:] - images[:, :, :-2], images[..., 2:] - images[..., :-2]
    return F.pad(down, (0, 0, 1, 1)), F.pad(right, (1, 1))


def _strongest(down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The differences of each pixel's channel with the largest magnitude, the first of equal ones.

    Which ones are equal depends on rounding: magnitudes are computed in float64 and rounded to the images' precision.

    Returns:
        Float64 ``[B, H, W]`` each.
    """
    if down.shape[1] > 1:
        magnitudes = [_length(*each).to(down.dtype) for each in zip(down.unbind(1), right.unbind(1), strict=True)]
        largest = torch.stack(magnitudes).amax(0)
        later = magnitudes[0] < largest
        channel = later.long()
        for magnitude in magnitudes[1:-1]:
            later &= magnitude < largest
            channel += later
        down, right = down.gather(1, channel.unsqueeze(1)), right.gather(1, channel.unsqueeze(1))
    return down[:, 0].double(), right[:, 0].double()


def _length(down: Tensor, right: Tensor) -> Tensor:
    return (down.double().square() + right.double().square()).sqrt()


def _histograms(magnitude: Tensor, bins: Tensor, orientations: int, cell: int) -> Tensor:
    """Mean over each cell of the magnitude in each bin, ``[B, H // cell, W // cell, orientations]``."""
    height, width = (side // cell for side in magnitude.shape[1:])
    histograms = magnitude.new_zeros(len(magnitude), height, width, orientations)
    places = torch.arange(0, histograms.numel(), orientations, device=bins.device).view(histograms.shape[:3])
    places = places.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    inside = slice(None), slice(height * cell), slice(width * cell)
    histograms.view(-1).index_add_(0, (places + bins[inside]).flatten(), magnitude[inside].flatten())
    return histograms / cell**2


def _unit(blocks: Tensor) -> Tensor:
    return blocks / (blocks.square().sum(1, keepdim=True) + _EPSILON**2).sqrt()
