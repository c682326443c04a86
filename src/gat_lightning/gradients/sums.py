"""What the parts of a step add up to."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients.objectives import Objective, followed


class StepSums:
    """The values of a step's objectives, and the gradients of those that are not weighed, of its parts so far.

    Args:
        objectives: of the first part.
        device: where the parameters are.
        flag: a number of this process.

    Attributes:
        flag: likewise; its sum over the ranks once :meth:`joint` was called.
        losses: ``[K]``, of the objectives that the weighting weighs, float64.
        added_losses: of the others, float64: w l of one with a fixed weight w, l of one that follows weighed ones.
        added_gradients: of Σ w l over the others, by the names of the objectives that they follow.
    """

    def __init__(self, objectives: Sequence[Objective], device: torch.device, flag: float = 0.0) -> None:
        self.flag = flag
        self.names = [objective.name for objective in objectives if objective.weight is None]
        added = _added(objectives)
        self.added_names = [objective.name for _, objective in added]
        self.losses = torch.zeros(len(self.names), dtype=torch.float64, device=device)
        self.added_losses = self.losses.new_zeros(len(added))
        self.added_gradients: dict[tuple[str, ...], list[Tensor]] = {objective.follows: [] for _, objective in added}
        self._of_added = [(objective.name, weight, objective.follows) for weight, objective in added]
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
        if added := _added(objectives):
            values = [each.loss if each.follows else weight * each.loss for weight, each in added]
            self.added_losses += torch.stack(values).double()

    def add_gradients(self, objectives: Sequence[Objective], inputs: Sequence[Tensor], keep_graph: bool) -> None:
        """Add a part's gradients of Σ w l over objectives that are not weighed, a pass for each key."""
        added = _added(objectives)
        groups = list(dict.fromkeys(each.follows for _, each in added))
        for follows in groups:
            with torch.enable_grad():
                total = torch.stack([weight * each.loss for weight, each in added if each.follows == follows]).sum()
            gradients = gradients_of(total, inputs, keep_graph or follows != groups[-1])
            add(self.added_gradients[follows], gradients)

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

    @property
    def tensors(self) -> list[Tensor]:
        """All gradients of objectives that are not weighed."""
        return [gradient for gradients in self.added_gradients.values() for gradient in gradients]

    def penalty(self, added_losses: Tensor) -> float:
        """Σ w l over the objectives with a fixed weight; ``added_losses`` are those of all processes."""
        fixed = [place for place, (_, _, follows) in enumerate(self._of_added) if not follows]
        return float(added_losses[fixed].sum())

    def followers(self, added_losses: Tensor, weights: Tensor) -> dict[str, tuple[float, float]]:
        """Value and coefficient of each objective that follows others.

        Args:
            added_losses: of all processes.
            weights: ``[K]``, of the weighed objectives.
        """
        by_name = dict(zip(self.names, weights.tolist(), strict=True))
        return {
            name: (loss, weight * followed(follows, by_name))
            for (name, weight, follows), loss in zip(self._of_added, added_losses.tolist(), strict=True)
            if follows
        }


def _added(objectives: Sequence[Objective]) -> list[tuple[float, Objective]]:
    return [(each.weight, each) for each in objectives if each.weight is not None]


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


def add(totals: list[Tensor], gradients: Sequence[Tensor], times: float = 1.0) -> None:
    """Add ``times`` the gradients to the totals in place; there are none before the first gradients."""
    if not totals:
        totals.extend(gradient * times for gradient in gradients)
    elif gradients:
        torch._foreach_add_(totals, list(gradients), alpha=times)
