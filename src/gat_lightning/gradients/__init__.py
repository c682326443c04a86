"""The gradient engine: per-objective gradients, their Gramian, and the weighted step."""

from gat_lightning.gradients.engine import GradientEngine
from gat_lightning.gradients.objectives import GradientStep, Objective
from gat_lightning.gradients.spaces import (
    SPACES,
    FlatLayout,
    GradientSpace,
    ParameterSpace,
    RepresentationSpace,
    gramian,
)

__all__ = [
    "SPACES",
    "FlatLayout",
    "GradientEngine",
    "GradientSpace",
    "GradientStep",
    "Objective",
    "ParameterSpace",
    "RepresentationSpace",
    "gramian",
]
