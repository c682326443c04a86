"""What a method is: the outer minimisation, which decides the objectives of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from gat_lightning.forward import ForwardPass
from gat_lightning.gradients import Objective


class Method(ABC):
    """Turns the losses of a step's forward passes into objectives.

    Attributes:
        needs_clean: whether the clean images go through the model.
        needs_adversarial: whether adversarial images are made and go through the model.
        selection: the validation view, ``clean`` or ``robust``, whose score chooses the best checkpoint.
    """

    needs_clean: bool = True
    needs_adversarial: bool = True
    selection: str = "robust"

    @abstractmethod
    def objectives(
        self, tasks: Sequence[str], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """The objectives in a stable order: that of ``tasks``, clean before adversarial.

        Args:
            tasks: names, the target's first.
            clean: forward pass on clean images, present where :attr:`needs_clean`.
            adversarial: forward pass on adversarial images, present where :attr:`needs_adversarial`.
        """

    @abstractmethod
    def names(self, tasks: Sequence[str]) -> list[str]:
        """Names of the objectives of these tasks, before any step is made."""
