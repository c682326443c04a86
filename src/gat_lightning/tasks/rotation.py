"""Rotation prediction: 0, 90, 180 or 270 degrees."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.info import DataInfo
from gat_lightning.tasks.base import Task
from gat_lightning.tasks.pixel_permutation import PixelPermutationTask, pixel_grid

log = logging.getLogger(__name__)


class Rotation(PixelPermutationTask):
    """Rotation by 0, 90, 180 or 270 degrees counter-clockwise (Gidaris et al., 2018; paper, section 5.1)."""

    name = "rotation"

    def setup(self, data: DataInfo) -> None:
        """Check that the images are square.

        Raises:
            ValueError: they are not.
        """
        _, height, width = data.image
        if height != width:
            raise ValueError(
                f"Rotation needs square images, and those of '{data.name}' have {height} x {width} pixels."
                " Crop or pad them to a square, or leave this task out."
            )
        super().setup(data)

    def sources(self, height: int, width: int) -> Tensor:
        """Long ``[4, H * W]``."""
        grid = pixel_grid(height, width)
        return torch.stack([torch.rot90(grid, quarter_turns).flatten() for quarter_turns in range(4)])


def warn_of_lost_orientation(data: DataInfo, tasks: Sequence[Task], separate_views: bool) -> None:
    """Warn once if a head sees turned images of a data set in which orientation matters.

    Args:
        data: the data set; its ``orientation`` says what is lost.
        tasks: of the run.
        separate_views: whether the other heads see the plain image.
    """
    turning = [task.name for task in tasks if isinstance(task, Rotation)]
    if turning and data.orientation and not separate_views:
        log.warning(
            "task=%s turns the images that every head sees, and of a turned image of '%s' %s;"
            " data.views=separate leaves it to its own head",
            turning[0],
            data.name,
            data.orientation,
        )
