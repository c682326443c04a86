"""A step that solves for its weights: K gradients, their Gramian, and the weighting."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients.objectives import GradientStep, Objective
from gat_lightning.gradients.parameters import Trainable
from gat_lightning.gradients.pending import CombinedGradient, PendingStep
from gat_lightning.gradients.spaces import GradientSpace
from gat_lightning.gradients.sums import StepSums, add, check_finite, gradients_of, largest
from gat_lightning.weighting import Weighting


class SolvingStep(PendingStep):
    """One backward pass for each objective; the weights follow from the Gramian of the K gradients.

    Args:
        sums: see :class:`PendingStep`.
        trained: likewise.
        weighting: Gramian to weights.
        space: where the gradients are taken.
    """

    def __init__(self, sums: StepSums, trained: Trainable, weighting: Weighting, space: GradientSpace) -> None:
        super().__init__(sums, trained, weighting)
        self._space = space
        self._decoders: list[list[nn.Parameter]] = []
        self._heads: list[list[Tensor]] = [[] for _ in sums.names]

    def add(self, objectives: Sequence[Objective], representation: Sequence[Tensor]) -> None:
        """Take the K gradients of a part."""
        space, sums = self._space, self.sums
        weighed = [objective for objective in objectives if objective.weight is None]
        self._decoders = [self.trained.head_of(objective) for objective in weighed]
        space.begin_part(len(weighed), representation, sums.losses.device)
        for row, objective in enumerate(weighed):
            keep = row + 1 < len(weighed) or bool(sums.added_names) or space.backward_follows
            gradients = gradients_of(objective.loss, [*space.inputs, *self._decoders[row]], keep)
            space.put(row, gradients[: len(space.inputs)])
            add(self._heads[row], gradients[len(space.inputs) :])
        sums.add_gradients(objectives, self.trained.parameters, space.backward_follows)

    def finish(self) -> tuple[GradientStep, CombinedGradient]:
        """Weigh the objectives, and combine their gradients."""
        step = self._weigh()
        return step, self._combine(step.weights)

    def _weigh(self) -> GradientStep:
        sums, names, adaptive = self.sums, self.sums.names, self.weighting.adaptive
        products = self._space.gramian()
        count = len(products)
        entries = torch.stack([largest(each, sums.losses) for each in [*self._heads, sums.tensors]])
        figures = sums.joint([sums.losses, sums.added_losses, entries], [products.flatten()])
        sizes = [products.numel(), count, len(sums.added_names), count + 1]
        table, losses, added_losses, entries = figures.split(sizes)
        products = table.view_as(products)
        self._check(losses, products.diagonal(), added_losses, entries)
        kept = products.diagonal().nonzero().flatten() if adaptive else torch.arange(count)
        weights = torch.zeros_like(losses)
        if len(kept):
            weights[kept] = self.weighting(products[kept][:, kept], losses[kept], [names[k] for k in kept])
        squares = products.diagonal().tolist() if self.trained.shared else []
        empty = [name for name, square in zip(names, squares, strict=False) if square == 0]
        followers = sums.followers(added_losses, weights)
        return GradientStep(names, losses, weights, products, empty, sums.penalty(added_losses), followers=followers)

    def _check(self, losses: Tensor, squares: Tensor, added_losses: Tensor, entries: Tensor) -> None:
        names, added = self.sums.names, self.sums.added_names
        for name, loss, square in zip(names, losses.tolist(), squares.tolist(), strict=True):
            if not (abs(loss) < float("inf") and square < float("inf")):
                raise NonFiniteError(f"objective '{name}' is not finite (value {loss:g}, gradient norm² {square:g})")
        check_finite(added, added_losses)
        for name, entry in zip([*names, " + ".join(added)], entries, strict=True):
            if not entry < float("inf"):
                raise NonFiniteError(
                    f"the gradient of objective '{name}' is not finite in a decoder (largest entry {entry:g})"
                )

    def _combine(self, weights: Tensor) -> CombinedGradient:
        shared, heads = self.trained.layouts
        of_shared = self._space.combine(weights)
        of_heads = heads.zeros(of_shared.device)
        by_parameter = dict(zip(self.trained.heads, heads.pieces(of_heads), strict=True))
        for decoder, gradients, weight in zip(self._decoders, self._heads, weights.tolist(), strict=True):
            for parameter, gradient in zip(decoder, gradients, strict=True):
                by_parameter[parameter].add_(gradient, alpha=1.0 if self.trained.unit else weight)
        if self.sums.added_names:
            of_added = torch.zeros_like(of_shared)
            self.add_unweighed(list(shared.pieces(of_added)), list(heads.pieces(of_heads)), weights)
            of_shared += sum_over_ranks(of_added)
        return CombinedGradient(of_shared, sum_over_ranks(of_heads))
