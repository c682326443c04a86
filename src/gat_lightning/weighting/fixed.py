"""Fixed weights, chosen by the user."""

from collections.abc import Mapping, Sequence

from torch import Tensor, float64, tensor

from gat_lightning.validate import check_real
from gat_lightning.weighting.base import Weighting, names_or_positions


class Fixed(Weighting):
    """Weights that never change, by the names of the objectives: the weighted sum of the losses.

    They are taken as they are and need not add up to 1. An objective of weight 0 is not trained on.

    Args:
        weights: weight of named objectives, at least 0, such as ``{"class/clean+adv": 1.0, "macro/clean+adv": 0.5}``.
        default: weight of the objectives that are not named, at least 0; None where each must be named.

    Raises:
        SettingError: a weight is negative or not finite.
    """

    adaptive = False

    def __init__(self, weights: Mapping[str, float] | None = None, default: float | None = 1.0) -> None:
        self.weights = {
            str(name): float(check_real(f"weights.{name}", value, 0)) for name, value in (weights or {}).items()
        }
        self.default = check_real("default", default, 0, also=(None,))

    def check(self, names: Sequence[str]) -> None:
        """See :meth:`Weighting.check`: every weight must name an objective, and every objective have a weight."""
        for name in self.weights:
            if name not in names:
                raise ValueError(
                    f"weights names '{name}', which is not an objective; the objectives are {', '.join(names)}."
                )
        if not any(self._of(names)):
            raise ValueError("weights gives every objective weight 0, so that nothing would be trained.")

    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """The weights of these objectives, ``[K]``, float64 on the CPU, whatever the Gramian ``[K, K]``.

        Raises:
            ValueError: an objective has no weight.
        """
        return tensor(self._of(names_or_positions(names, len(gramian))), dtype=float64)

    def _of(self, names: Sequence[str]) -> list[float]:
        missing = [name for name in names if name not in self.weights]
        if missing and self.default is None:
            example = ", ".join(f"{name}: {self.weights.get(name, 1.0):g}" for name in names)
            raise ValueError(
                f"weights has no weight for {', '.join(missing)}, and there is no default: set"
                f" weights={{{example}}}, or default=1."
            )
        return [float(self.weights.get(name, self.default or 0.0)) for name in names]
