"""The user's own weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, float64, tensor

from gat_lightning.errors import UserError
from gat_lightning.weighting.base import Weighting, names_or_positions


class Fixed(Weighting):
    """Weights that never change, by the names of the objectives: the weighted sum of the losses.

    They are taken as they are and need not add up to 1. An objective of weight 0 is not trained on.

    Args:
        weights: weight of named objectives, at least 0, such as ``{"class/clean+adv": 1.0, "macro/clean+adv": 0.5}``.
        default: weight of the objectives that are not named, at least 0; None where each must be named.

    Raises:
        UserError: a weight is negative or not finite.
    """

    adaptive = False

    def __init__(self, weights: Mapping[str, float] | None = None, default: float | None = 1.0) -> None:
        self.weights = {str(name): float(value) for name, value in (weights or {}).items()}
        self.default = default
        settings = {f"weights.{name}": value for name, value in self.weights.items()}
        if default is not None:
            settings["default"] = default
        for setting, value in settings.items():
            if not 0 <= value < math.inf:
                raise UserError(f"weighting.{setting}={value:g} is not possible: a weight is a number of at least 0.")

    def check(self, names: Sequence[str]) -> None:
        """See :meth:`Weighting.check`: every weight must name an objective, and every objective have a weight."""
        for name in self.weights:
            if name not in names:
                raise UserError(
                    f"weighting.weights names '{name}', which is no objective of this run; its objectives are "
                    f"{', '.join(names)}."
                )
        if not any(self._of(names)):
            raise UserError("weighting.weights gives every objective weight 0, so that nothing would be trained.")

    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """The weights of these objectives, ``[K]``, float64 on the CPU, whatever the Gramian ``[K, K]``.

        Raises:
            UserError: an objective has no weight.
        """
        return tensor(self._of(names_or_positions(names, len(gramian))), dtype=float64)

    def _of(self, names: Sequence[str]) -> list[float]:
        missing = [name for name in names if name not in self.weights]
        if missing and self.default is None:
            example = ", ".join(f"{name}: {self.weights.get(name, 1.0):g}" for name in names)
            raise UserError(
                f"weighting.weights has no weight for {', '.join(missing)}, and weighting.default is null. Set "
                f"weighting.weights='{{{example}}}', or weighting.default=1."
            )
        return [float(self.weights.get(name, self.default or 0.0)) for name in names]
