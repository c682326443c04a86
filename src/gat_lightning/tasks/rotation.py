"""Which of four angles was the image turned by?"""

from __future__ import annotations

import torch
from torch import Tensor

from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo
from gat_lightning.tasks.pixel_permutation import PixelPermutationTask, pixel_grid


class Rotation(PixelPermutationTask):
    """Rotation by 0, 90, 180 or 270 degrees counter-clockwise (Gidaris et al., 2018; paper, section 5.1)."""

    name = "rotation"

    def setup(self, data: DataInfo) -> None:
        """Check that the images are square.

        Raises:
            UserError: they are not.
        """
        _, height, width = data.image
        if height != width:
            raise UserError(
                f"task=rotation needs square images, and those of '{data.name}' have {height} x {width} pixels."
                " Crop or pad them to a square, or leave rotation out."
            )
        super().setup(data)

    def sources(self, height: int, width: int) -> Tensor:
        """Long ``[4, H * W]``."""
        grid = pixel_grid(height, width)
        return torch.stack([torch.rot90(grid, quarter_turns).flatten() for quarter_turns in range(4)])
