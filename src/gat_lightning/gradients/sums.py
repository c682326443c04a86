"""What the parts of a step add up to."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.gradients.objectives import Objective


class StepSums:
    """What the parts of a step have added up to so far, besides the shared parameters' gradients."""

    def __init__(self, objectives: Sequence[Objective], device: torch.device) -> None:
        self.weighed = [objective for objective in objectives if objective.weight is None]
        self.fixed = [objective for objective in objectives if objective.weight is not None]
        self.losses = torch.zeros(len(self.weighed), dtype=torch.float64, device=device)
        self.fixed_losses = self.losses.new_zeros(len(self.fixed))
        self.heads: list[list[Tensor]] = [[] for _ in self.weighed]
        self.fixed_gradients: list[Tensor] = []
        self._names = [objective.name for objective in objectives]

    def check_part(self, objectives: Sequence[Objective]) -> None:
        """See that a part has the objectives of the first.

        Raises:
            ValueError: it has others, or in another order.
        """
        names = [objective.name for objective in objectives]
        if names != self._names:
            raise ValueError(
                f"The parts of a step must have the same objectives in the same order: the first had"
                f" {', '.join(self._names)}, this one {', '.join(names)}. Call finish() between two steps."
            )

    def largest(self) -> Tensor:
        """Largest entry, ``[K + 1]``, of the gradients of each objective's decoder, and of those with fixed weights."""
        return torch.stack([self._largest(gradients) for gradients in [*self.heads, self.fixed_gradients]])

    def _largest(self, gradients: Sequence[Tensor]) -> Tensor:
        if not gradients:
            return self.losses.new_zeros(())
        return torch.stack(torch._foreach_norm(list(gradients), float("inf"))).max().double()


def gradients_of(loss: Tensor, inputs: Sequence[Tensor], keep_graph: bool) -> Sequence[Tensor]:
    """Gradients of a scalar with respect to ``inputs``; zeros where it does not depend on them."""
    if not inputs or not loss.requires_grad:
        return [torch.zeros_like(tensor) for tensor in inputs]
    return torch.autograd.grad(loss, inputs, retain_graph=keep_graph, allow_unused=True, materialize_grads=True)


def add(totals: list[Tensor], gradients: Sequence[Tensor]) -> None:
    """Add to the totals in place; there are none before the first gradients."""
    if not totals:
        totals.extend(gradient.clone() for gradient in gradients)
    elif gradients:
        torch._foreach_add_(totals, list(gradients))
