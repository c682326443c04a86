"""Target and auxiliary tasks."""

from gat_lightning.tasks.autoencoder import Autoencoder
from gat_lightning.tasks.base import Task
from gat_lightning.tasks.binary import BinaryClassification
from gat_lightning.tasks.classification import Classification, Macro, MulticlassTask
from gat_lightning.tasks.dense import DenseTask
from gat_lightning.tasks.depth import Depth, MiDaS
from gat_lightning.tasks.forward import DecisionProblem, ForwardPass, OutputsProblem, TaskProblem
from gat_lightning.tasks.hog import HOG, histograms_of_gradients
from gat_lightning.tasks.jigsaw import Jigsaw
from gat_lightning.tasks.pixel_permutation import PixelPermutationTask
from gat_lightning.tasks.regression import Regression
from gat_lightning.tasks.rotation import Rotation, warn_of_lost_orientation
from gat_lightning.tasks.target import ATTACKED, attacked_tasks, check_attack_loss, check_leading, target_task
from gat_lightning.tasks.views import Views

__all__ = [
    "ATTACKED",
    "HOG",
    "Autoencoder",
    "BinaryClassification",
    "Classification",
    "DecisionProblem",
    "DenseTask",
    "Depth",
    "ForwardPass",
    "Jigsaw",
    "Macro",
    "MiDaS",
    "MulticlassTask",
    "OutputsProblem",
    "PixelPermutationTask",
    "Regression",
    "Rotation",
    "Task",
    "TaskProblem",
    "Views",
    "attacked_tasks",
    "check_attack_loss",
    "check_leading",
    "histograms_of_gradients",
    "target_task",
    "warn_of_lost_orientation",
]
