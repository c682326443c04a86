"""Target and auxiliary tasks."""

from gat_lightning.tasks.base import Task
from gat_lightning.tasks.classification import Classification, Macro
from gat_lightning.tasks.jigsaw import Jigsaw
from gat_lightning.tasks.rotation import Rotation

__all__ = ["Classification", "Jigsaw", "Macro", "Rotation", "Task"]
