"""Base class of the two ways in which a step gets its gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.gradients.objectives import GradientStep, Objective, followed
from gat_lightning.gradients.parameters import Trainable
from gat_lightning.gradients.spaces import FlatLayout
from gat_lightning.gradients.sums import StepSums, add


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
        objectives: of the first part.
        trained: what gets gradients.
        device: where the parameters are.
        flag: a number of this process.

    Attributes:
        flag: likewise; the sum over the ranks once :meth:`joint` was called.
    """

    def __init__(
        self, objectives: Sequence[Objective], trained: Trainable, device: torch.device, flag: float = 0.0
    ) -> None:
        self.trained = trained
        self.flag = flag
        self.sums = StepSums(objectives, device)

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

    def joint(self, own: Sequence[Tensor], known: Sequence[Tensor] = ()) -> Tensor:
        """Figures on the CPU, one after another; :attr:`flag` travels with them.

        Args:
            own: of this process, ``[n]`` each, to be summed over the ranks.
            known: the same on all ranks, ``[m]`` each; they come before the others.
        """
        summed = sum_over_ranks(torch.cat([*own, own[0].new_full((1,), self.flag)]))
        figures = torch.cat([*known, summed]).cpu()
        self.flag = float(figures[-1])
        return figures[:-1]

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

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that get gradients: the shared ones, then those of the decoders."""
        return [*self.trained.shared, *self.trained.heads]

    @property
    def layouts(self) -> tuple[FlatLayout, FlatLayout]:
        """Of the shared parameters and of the decoders'."""
        return FlatLayout(self.trained.shared), FlatLayout(self.trained.heads)
