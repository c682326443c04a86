"""Target and auxiliary tasks."""

from gat_lightning.tasks.base import Task
from gat_lightning.tasks.binary import BinaryClassification
from gat_lightning.tasks.classification import Classification, Macro
from gat_lightning.tasks.jigsaw import Jigsaw
from gat_lightning.tasks.orientation import warn_of_lost_orientation
from gat_lightning.tasks.regression import Regression
from gat_lightning.tasks.rotation import Rotation
from gat_lightning.tasks.target import target_task

__all__ = [
    "BinaryClassification",
    "Classification",
    "Jigsaw",
    "Macro",
    "Regression",
    "Rotation",
    "Task",
    "target_task",
    "warn_of_lost_orientation",
]
