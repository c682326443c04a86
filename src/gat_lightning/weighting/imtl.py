"""Impartial multi-task learning (IMTL-G): a step with equal projections onto the directions of all gradients."""

from collections.abc import Sequence

import numpy as np

from gat_lightning.weighting.directional import DirectionalWeighting, spectrum
from gat_lightning.weighting.min_norm import Array

_CANCELLED = 1e-12  # of the summands: what is left of a sum below it is rounding


class IMTL(DirectionalWeighting):
    r"""IMTL-G (Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, eq. 6); it has no hyper-parameters.

    The combined gradient g = Σ w_k g_k has the same projection on every gradient, and the weights add up to 1:

    .. math:: g \cdot u_1 = \dots = g \cdot u_K,\quad \textstyle\sum_k w_k = 1
              \quad\Longrightarrow\quad w_k \propto (C^{-1} \mathbf{1})_k / \lVert g_k \rVert

    with the cosines C of the gradients; this is the closed form of the paper without its choice of a first task. For
    two objectives it is w_1 = ‖g_2‖ / (‖g_1‖ + ‖g_2‖).

    Weights may be negative, and for three objectives or more their sum before it is scaled to 1 may be negative too:
    the published rule then steps *against* every objective, and where that sum passes 0 its step grows without bound.

    Where the rule is undefined: if C is singular, its pseudo-inverse takes the place of the inverse (Quinton and Rey,
    "Jacobian Descent for Multi-Objective Optimization", 2024), which for gradients that repeat each other is the same
    step. Where no step is equally long along all gradients, that is the step nearest to it by least squares: for u, -u
    and v at a right angle to both, the weights 0, 0 and 1. For three objectives or more all weights are 0, no step, if
    the unit gradients u_k add up to 0, or the sum of the weights is 0 to rounding.

    Scaling: a common factor of all gradients leaves the weights as they are. Factors of single objectives leave the
    direction of the step as it is.
    """

    def weigh(self, norms: Array, cosines: Array, names: Sequence[str]) -> Array:
        """See :meth:`DirectionalWeighting.weigh`."""
        if len(norms) <= 2:
            lengths = np.ones_like(norms)
        else:
            values, vectors = spectrum(cosines)
            inside = vectors.sum(axis=0)
            if inside @ inside <= _CANCELLED * len(norms):
                return np.zeros_like(norms)
            lengths = vectors @ (inside / values)
        weights = lengths * (norms.min() / norms)
        total = weights.sum()
        if abs(total) <= _CANCELLED * np.abs(weights).sum():
            return np.zeros_like(norms)
        return weights / total
