"""Lightning callbacks."""

from gat_lightning.training.callbacks.checkpoint_paths import CheckpointPaths
from gat_lightning.training.callbacks.curves import Curves
from gat_lightning.training.callbacks.last_checkpoint import LastCheckpoint
from gat_lightning.training.callbacks.objective_log import ObjectiveLog
from gat_lightning.training.callbacks.peak_memory import PeakMemory
from gat_lightning.training.callbacks.pictures import Pictures
from gat_lightning.training.callbacks.progress import Progress
from gat_lightning.training.callbacks.undefined_scores import EarlyStopping, ModelCheckpoint
from gat_lightning.training.callbacks.weight_averaging import WeightAveraging

__all__ = [
    "CheckpointPaths",
    "Curves",
    "EarlyStopping",
    "LastCheckpoint",
    "ModelCheckpoint",
    "ObjectiveLog",
    "PeakMemory",
    "Pictures",
    "Progress",
    "WeightAveraging",
]
