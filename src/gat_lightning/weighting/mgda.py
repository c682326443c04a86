"""Multiple-gradient descent algorithm (MGDA): the shortest vector in the convex hull of the gradients."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from torch import Tensor, float64, from_numpy

from gat_lightning.errors import SettingError
from gat_lightning.validate import check_option, check_real
from gat_lightning.weighting.base import Weighting
from gat_lightning.weighting.diagnosis import adversarial_names
from gat_lightning.weighting.min_norm import SUM_SLACK, Array, min_norm, square_matrix

Normalization = Literal["none", "l2", "loss", "loss+"]

TARGET = "target"
_LEAST_LOSS = 1e-30


class MGDA(Weighting):
    r"""MGDA (Désidéri 2012; Sener and Koltun 2018; Algorithm 3 of the GAT paper), with floors.

    .. math:: w = \arg\min_{w} \bigl\lVert \textstyle\sum_k w_k\, g_k / d_k \bigr\rVert^2
              \quad\text{over}\quad w_k \ge m_k,\ \textstyle\sum_k w_k = 1

    The step then takes :math:`c \sum_k w_k g_k`: the weights are *found* on the normalised gradients g_k / d_k, and
    *applied* to the original gradients g_k, as in the code of Sener and Koltun and in LibMTL.

    The minimum-norm point gives its weight to the objectives with the shortest gradients, such as the loss on clean
    images once it is nearly solved. ``normalize``, ``floor`` and a combined objective per task (see
    :class:`~gat_lightning.methods.paired.Paired`) are remedies.

    Args:
        normalize: d_k is 1 for ``none``, ‖g_k‖ for ``l2``, abs L_k for ``loss``, ‖g_k‖ abs L_k for ``loss+``. A
            gradient of norm 0 stays 0 (and takes all the weight that the floors leave); a loss below 1e-30 of the
            largest counts as that; if all losses are zero, they divide by 1.
        min_weight: floor m_k under every weight, from 0 to 1/K.
        floor: floors under the weights of named objectives. The name ``target`` stands for the adversarial objectives
            of the target task, such as ``{target}/adv`` or ``{target}/clean+adv``, whichever the method has; where it
            has several, such as MART's ``{target}/bce`` and ``{target}/kl``, the floor is divided evenly among them.
            Where several floors fall on one objective the highest counts. An objective that is missing from a step has
            no floor in it.
        rescale: whether c brings the combined gradient to the norm of the sum of the objectives' gradients,
            c = ‖Σ g_k‖ / ‖Σ w_k g_k‖. Otherwise c = 1. The closer the step is to Pareto stationarity, the larger is c:
            nothing bounds it, but c = 1 where either norm is 0 to the rounding of a float64 Gramian.
        target: name of the target task.

    Raises:
        SettingError: an unknown normalisation, or a floor outside [0, 1].
    """

    def __init__(
        self,
        normalize: Normalization = "none",
        min_weight: float = 0.0,
        floor: Mapping[str, float] | None = None,
        rescale: bool = False,
        target: str = "class",
    ) -> None:
        self.normalize = check_option("normalize", normalize, get_args(Normalization))
        self.min_weight = check_real("min_weight", min_weight, 0, 1)
        self.floor = {
            str(name): float(check_real(f"floor.{name}", value, 0, 1)) for name, value in (floor or {}).items()
        }
        self.rescale = rescale
        self.target = target

    def check(self, names: Sequence[str]) -> None:
        """See :meth:`Weighting.check`: every floor must name an objective, and the floors must leave room."""
        for key in self.floor:
            if not set(self._named(key, names)) & set(names):
                raise ValueError(self._unknown(key, names))
        self._bounds(len(names), names)

    def remedies(self) -> list[str]:
        """See :meth:`Weighting.remedies`."""
        has_floor = TARGET in self.floor or adversarial_names(list(self.floor), self.target)
        floor = [] if has_floor else super().remedies()
        return floor if self.normalize == "l2" else [*floor, "weighting.normalize=l2"]

    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """Coefficients c w of the original gradients, ``[K]``, float64 on the CPU; their sum is 1 unless ``rescale``.

        Args:
            gramian: inner products of the original gradients, ``[K, K]``.
            losses: L, ``[K]``; needed by ``normalize=loss`` and ``loss+``.
            names: names of the objectives; needed by ``floor``.

        Raises:
            ValueError: the floors of these objectives add up to more than 1, or ``losses`` or ``names`` are needed and
                missing.
            NonFiniteError: the Gramian has a NaN or an infinity.
        """
        matrix = square_matrix(gramian)
        bounds = self._bounds(len(matrix), names)
        weights = min_norm(self._normalized(matrix, losses), bounds).numpy()
        return from_numpy(weights * _rescaling(matrix, weights) if self.rescale else weights)

    def _named(self, key: str, names: Sequence[str]) -> list[str]:
        return adversarial_names(names, self.target) if key == TARGET else [key]

    def _bounds(self, count: int, names: Sequence[str] | None) -> Array:
        """Floor of each objective, ``[K]``."""
        if self.min_weight * count > 1 + SUM_SLACK:
            raise SettingError("min_weight", self.min_weight, f"at most 1/{count}, since there are {count} objectives")
        bounds = np.full(count, float(self.min_weight))
        if not self.floor:
            return bounds
        if names is None:
            raise ValueError("floor needs the names of the objectives")
        for key, value in self.floor.items():
            named = self._named(key, names)
            bounds = np.maximum(bounds, [value / len(named) if name in named else 0.0 for name in names])
        if bounds.sum() > 1 + SUM_SLACK:
            floors = ", ".join(f"{name} {bound:g}" for name, bound in zip(names, bounds, strict=True) if bound > 0)
            raise ValueError(
                f"floor and min_weight add up to {bounds.sum():g} ({floors}); they must add up to at most 1."
            )
        return bounds

    def _unknown(self, key: str, names: Sequence[str]) -> str:
        known = ", ".join(names)
        if key == TARGET:
            return (
                f"floor.target needs an adversarial objective of the target task '{self.target}', and the objectives"
                f" are {known}. Leave this floor out, or train on adversarial images, as Madry does."
            )
        return f"floor names '{key}', which is not an objective; the objectives are {known}."

    def _normalized(self, gramian: Array, losses: Tensor | None) -> Array:
        """Inner products of g_k / d_k, up to one common factor."""
        if self.normalize == "none":
            return gramian
        norms = np.sqrt(np.maximum(gramian.diagonal(), 0.0))
        units = np.where(norms > 0, norms, 1.0)
        lengths = norms if self.normalize == "loss" else np.ones_like(norms)
        if self.normalize != "l2":
            if losses is None:
                raise ValueError(f"normalize={self.normalize} needs the losses")
            sizes = np.abs(losses.detach().to("cpu", float64).numpy())
            if sizes.max() > 0:
                lengths = lengths / np.maximum(sizes / sizes.max(), _LEAST_LOSS)
        if lengths.max() > 0:
            lengths = lengths / lengths.max()
        return gramian / units[:, None] / units * lengths[:, None] * lengths


def _rescaling(gramian: Array, weights: Array) -> float:
    """‖Σ g_k‖ / ‖Σ w_k g_k‖, or 1 where either is 0 to rounding."""
    longest = gramian.diagonal().max()
    if longest <= 0:
        return 1.0
    gramian = gramian / longest
    norms = np.sqrt(np.maximum(gramian.diagonal(), 0.0))
    lengths = []
    for coefficients in (np.ones_like(weights), weights):
        square = coefficients @ gramian @ coefficients
        if square <= len(weights) * np.finfo(np.float64).eps * (coefficients @ norms) ** 2:
            return 1.0
        lengths.append(float(np.sqrt(square)))
    return lengths[0] / lengths[1]
