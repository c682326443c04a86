"""Base class of weightings: rules that map the Gramian of the objectives' gradients to one weight per objective."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor


class Weighting(ABC):
    """A rule that maps a Gramian to weights: ``weights = weighting(gramian, losses, names)``.

    Weightings act on the gradients linearly, with coefficients that follow from the Gramian alone; none ever sees a
    gradient. Weight decay is outside the Gramian.

    Attributes:
        adaptive: whether the weights follow from the gradients. Decoders get unit weights under an adaptive weighting;
            under a static one the whole step equals ``.backward()`` on the weighted sum.
        needs_gramian: whether the weights follow from the Gramian, or from nothing. Otherwise they follow from the
            losses alone, no gradient of a single objective is taken, and :meth:`observe` is told the losses after each
            step.
        needs_pairs: whether clean and adversarial losses must be objectives of their own.
    """

    adaptive: bool = True
    needs_gramian: bool = True
    needs_pairs: bool = False

    @abstractmethod
    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """Weights ``[K]``, float64 on the CPU.

        Args:
            gramian: inner products of the objectives' gradients, ``[K, K]``, symmetric positive semi-definite, CPU;
                ``[0, 0]`` for a rule that does not need it.
            losses: values of the objectives, ``[K]``; needed by rules that follow them or normalise by them.
            names: names of the objectives, by which per-objective settings and state are found. An objective may be
                missing from a step, so that K and the names change from call to call.
        """

    def check(self, names: Sequence[str]) -> None:  # noqa: B027
        """Called once before training, so that settings that do not fit are refused then. All fit by default.

        Args:
            names: names of all objectives that a step of this run can have.

        Raises:
            ValueError: an argument does not fit these objectives.
        """

    def observe(self, losses: Tensor, names: Sequence[str]) -> None:  # noqa: B027
        """Learn what the optimizer's step has made of the losses; called after it where no Gramian is needed.

        Args:
            losses: values of the objectives on the batch of the step, ``[K]``, CPU.
            names: names of the objectives.
        """

    def remedies(self) -> list[str]:
        """Settings to propose for unbalanced weights, except those already in effect."""
        return ["weighting=mgda_floor"]

    def state(self) -> dict[str, Any]:
        """What earlier calls leave to later ones, for the checkpoint; nothing by default.

        Returns:
            Plain types and tensors, which ``torch.load(weights_only=True)`` takes, in a copy that later calls do not
            change. What belongs to an objective stands under its name, and stays while it is missing from steps.
        """
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Go on from what :meth:`state` gave. What another weighting left counts as nothing: it begins afresh."""


def names_or_positions(names: Sequence[str] | None, count: int) -> list[str]:
    """The names of the objectives, ``[count]``, or where there are none, ``"0"``, ``"1"``, ..."""
    return [str(position) for position in range(count)] if names is None else list(names)
