"""Curvature between task gradients: the measures (paper, section 3.2) and the regularisation terms (eq. 5)."""

from gat_lightning.curvature.finite_difference import LossesAt, displaced
from gat_lightning.curvature.measures import cosine, curvature_measure, magnitude_similarity
from gat_lightning.curvature.terms import Curvature, curvature_losses, input_gradients

__all__ = [
    "Curvature",
    "LossesAt",
    "cosine",
    "curvature_losses",
    "curvature_measure",
    "displaced",
    "input_gradients",
    "magnitude_similarity",
]
