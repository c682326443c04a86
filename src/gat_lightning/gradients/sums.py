"""What the parts of a step add up to."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients.objectives import Objective


class StepSums:
    """The values of a step's objectives, and the gradients of those with a fixed weight, of its parts so far.

    Attributes:
        losses: ``[K]``, of the objectives that the weighting weighs, float64.
        fixed_losses: w l of those with a fixed weight w, float64.
        fixed_gradients: of Σ w l of the latter.
    """

    def __init__(self, objectives: Sequence[Objective], device: torch.device) -> None:
        self.names = [objective.name for objective in objectives if objective.weight is None]
        self.fixed_names = [objective.name for objective in objectives if objective.weight is not None]
        self.losses = torch.zeros(len(self.names), dtype=torch.float64, device=device)
        self.fixed_losses = self.losses.new_zeros(len(self.fixed_names))
        self.fixed_gradients: list[Tensor] = []
        self._all_names = [objective.name for objective in objectives]

    def check_part(self, objectives: Sequence[Objective]) -> None:
        """See that a part has the objectives of the first.

        Raises:
            ValueError: it has others, or in another order.
        """
        names = [objective.name for objective in objectives]
        if names != self._all_names:
            raise ValueError(
                f"The parts of a step must have the same objectives in the same order: the first had"
                f" {', '.join(self._all_names)}, this one {', '.join(names)}. Call finish() between two steps."
            )

    def add_losses(self, objectives: Sequence[Objective]) -> None:
        """Add a part's values."""
        self.losses += torch.stack([each.loss.double() for each in objectives if each.weight is None])
        if fixed := _fixed(objectives):
            self.fixed_losses += torch.stack([weight * loss for weight, loss in fixed]).double()

    def add_fixed_gradients(self, objectives: Sequence[Objective], inputs: Sequence[Tensor], keep_graph: bool) -> None:
        """Add a part's gradients of Σ w l over the objectives with a fixed weight w."""
        if fixed := _fixed(objectives):
            with torch.enable_grad():
                total = torch.stack([weight * loss for weight, loss in fixed]).sum()
            add(self.fixed_gradients, gradients_of(total, inputs, keep_graph))


def _fixed(objectives: Sequence[Objective]) -> list[tuple[float, Tensor]]:
    return [(each.weight, each.loss) for each in objectives if each.weight is not None]


def largest(gradients: Sequence[Tensor], like: Tensor) -> Tensor:
    """Largest absolute entry of some tensors, a scalar on the device and in the type of ``like``; 0 of none."""
    if not gradients:
        return like.new_zeros(())
    return torch.stack(torch._foreach_norm(list(gradients), float("inf"))).max().to(like)


def check_finite(names: Sequence[str], losses: Tensor) -> None:
    """See that the values ``[K]`` of objectives are finite.

    Raises:
        NonFiniteError: one is NaN or infinite.
    """
    for name, loss in zip(names, losses.tolist(), strict=True):
        if not abs(loss) < float("inf"):
            raise NonFiniteError(f"objective '{name}' is not finite (value {loss:g})")


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
