"""Hyper-volume of a front of (clean error, robust error), as in the paper's Table 14."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class HyperVolume(NamedTuple):
    """Hyper-volume of a front in the unit square.

    Attributes:
        dominated: fraction of the square that the front dominates; higher is better.
        complement: 1 - ``dominated``, the form in which the paper's Table 14 seems to report it; lower is better.
    """

    dominated: float
    complement: float


def hypervolume(errors: ArrayLike) -> HyperVolume:
    """Hyper-volume that a set of models dominates, against the reference point (1, 1).

    Fonseca et al., "An improved dimension-sweep algorithm for the hypervolume indicator" (2006), computed by moocore.
    Dominated models do not change it.

    Args:
        errors: ``[n, 2]``, clean and robust error (1 - accuracy) of each model, in [0, 1].

    Raises:
        ValueError: other shapes or values (percentages).
        ImportError: moocore is missing.
    """
    points = np.asarray(errors, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0 or not ((points >= 0) & (points <= 1)).all():
        raise ValueError("a hyper-volume needs one (clean error, robust error) per model, fractions in [0, 1]")
    try:
        import moocore  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise ImportError("The hyper-volume needs moocore: pip install 'gat-lightning[report]'") from None
    dominated = float(moocore.hypervolume(points, ref=[1.0, 1.0]))
    return HyperVolume(dominated, 1 - dominated)
