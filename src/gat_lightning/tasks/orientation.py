"""A warning where one task turns the image that another task's label is about."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gat_lightning.info import DataInfo
from gat_lightning.tasks.base import Task
from gat_lightning.tasks.rotation import Rotation

log = logging.getLogger(__name__)


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
