"""Lightning callbacks."""

from gat_lightning.callbacks.objective_log import ObjectiveLog
from gat_lightning.callbacks.progress import Progress

__all__ = ["ObjectiveLog", "Progress"]
