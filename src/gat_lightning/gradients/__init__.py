"""The gradient engine: per-objective gradients, their Gramian, and the weighted step."""

from gat_lightning.gradients.checks import UpdateWatch
from gat_lightning.gradients.engine import GradientEngine
from gat_lightning.gradients.objectives import GradientStep, Objective
from gat_lightning.gradients.parameters import TrainedParameters
from gat_lightning.gradients.spaces import (
    SPACES,
    FlatLayout,
    GradientSpace,
    ParameterSpace,
    RepresentationSpace,
    gramian,
)
from gat_lightning.gradients.sums import StepSums

__all__ = [
    "SPACES",
    "FlatLayout",
    "GradientEngine",
    "GradientSpace",
    "GradientStep",
    "Objective",
    "ParameterSpace",
    "RepresentationSpace",
    "StepSums",
    "TrainedParameters",
    "UpdateWatch",
    "gramian",
]
