"""The gradient engine: per-objective gradients, their Gramian, and the weighted step."""

from gat_lightning.gradients.checks import UpdateWatch
from gat_lightning.gradients.engine import GradientEngine
from gat_lightning.gradients.kept_weights import KeptWeights
from gat_lightning.gradients.objectives import GradientStep, Objective
from gat_lightning.gradients.parameters import Trainable, TrainedParameters
from gat_lightning.gradients.pending import CombinedGradient, PendingStep
from gat_lightning.gradients.solving import SolvingStep
from gat_lightning.gradients.spaces import (
    SPACES,
    FlatLayout,
    GradientSpace,
    ParameterSpace,
    RepresentationSpace,
    gramian,
)
from gat_lightning.gradients.sums import StepSums
from gat_lightning.gradients.weighted import WeightedStep

__all__ = [
    "SPACES",
    "CombinedGradient",
    "FlatLayout",
    "GradientEngine",
    "GradientSpace",
    "GradientStep",
    "KeptWeights",
    "Objective",
    "ParameterSpace",
    "PendingStep",
    "RepresentationSpace",
    "SolvingStep",
    "StepSums",
    "Trainable",
    "TrainedParameters",
    "UpdateWatch",
    "WeightedStep",
    "gramian",
]
