"""Lightning callbacks."""

from gat_lightning.callbacks.last_checkpoint import LastCheckpoint
from gat_lightning.callbacks.objective_log import ObjectiveLog
from gat_lightning.callbacks.peak_memory import PeakMemory
from gat_lightning.callbacks.pictures import Pictures
from gat_lightning.callbacks.progress import Progress
from gat_lightning.callbacks.weight_averaging import WeightAveraging

__all__ = ["LastCheckpoint", "ObjectiveLog", "PeakMemory", "Pictures", "Progress", "WeightAveraging"]
