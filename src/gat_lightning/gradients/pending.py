"""Base class of the two ways in which a step gets its gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from gat_lightning.gradients.objectives import GradientStep, Objective, followed
from gat_lightning.gradients.parameters import Trainable
from gat_lightning.gradients.sums import StepSums, add
from gat_lightning.weighting import Weighting


class CombinedGradient(NamedTuple):
    """The gradient of a step, summed over the ranks.

    Attributes:
        shared: of θ^s, flat.
        heads: of the decoders, flat.
    """

    shared: Tensor
    heads: Tensor


class PendingStep(ABC):
    """A step whose parts (micro-batches) are being added up.

    Args:
        sums: of no part yet.
        trained: what gets gradients.
        weighting: finds the weights.
    """

    def __init__(self, sums: StepSums, trained: Trainable, weighting: Weighting) -> None:
        self.sums, self.trained, self.weighting = sums, trained, weighting

    def accumulate(self, objectives: Sequence[Objective], representation: Sequence[Tensor]) -> None:
        """Add one part of the batch.

        Raises:
            ValueError: it has other objectives than the first.
        """
        self.sums.check_part(objectives)
        self.add(objectives, representation)
        self.sums.add_losses(objectives)

    @abstractmethod
    def add(self, objectives: Sequence[Objective], representation: Sequence[Tensor]) -> None:
        """Take or keep what the step needs of one part."""

    @abstractmethod
    def finish(self) -> tuple[GradientStep, CombinedGradient]:
        """What the step computed, and its gradient.

        Raises:
            NonFiniteError: an objective or a gradient is NaN or infinite.
        """

    def add_unweighed(self, shared: list[Tensor], heads: list[Tensor], weights: Tensor) -> None:
        """Add the gradients of the objectives that are not weighed, with their coefficients.

        Args:
            shared: gradients of the shared parameters, to add to.
            heads: of the decoders.
            weights: ``[K]``, of the weighed objectives.
        """
        of_shared = dict(zip(self.sums.names, weights.tolist(), strict=True))
        of_heads = dict.fromkeys(self.sums.names, 1.0) if self.trained.unit else of_shared
        for follows, gradients in self.sums.added_gradients.items():
            add(shared, gradients[: len(shared)], followed(follows, of_shared))
            add(heads, gradients[len(shared) :], followed(follows, of_heads))
