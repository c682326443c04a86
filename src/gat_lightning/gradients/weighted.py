"""A step whose weights need no gradients: one backward pass of the weighted sum of the objectives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients.objectives import GradientStep, Objective
from gat_lightning.gradients.parameters import Trainable
from gat_lightning.gradients.pending import CombinedGradient, PendingStep
from gat_lightning.gradients.sums import StepSums, add, check_finite, gradients_of, largest
from gat_lightning.weighting import Weighting


class WeightedStep(PendingStep):
    """One backward pass of Σ w_k l_k through the encoder, whatever K is.

    Where decoders get unit weight, their own gradient is that of the plain sum Σ l_k. It is a pass of its own, which
    autograd ends at the decoders' inputs; so it costs one more backward pass of the decoders alone, and is right where
    one objective depends on several passes, and for tied weights. Objectives with a fixed weight add their pass;
    those that follow weighed ones are in both sums.

    Args:
        sums: see :class:`PendingStep`.
        trained: likewise.
        weighting: losses to weights.
        weights: ``[K]``; None where ``weighting`` finds them from the values of all parts. The graphs of the parts are
            then kept until :meth:`finish`.
    """

    def __init__(self, sums: StepSums, trained: Trainable, weighting: Weighting, weights: Tensor | None) -> None:
        super().__init__(sums, trained, weighting)
        self._weights = weights
        self._waiting: list[Sequence[Objective]] = []
        self._shared: list[Tensor] = []
        self._heads: list[Tensor] = []

    def add(self, objectives: Sequence[Objective], representation: Sequence[Tensor]) -> None:
        """Differentiate a part, or keep it where the weights are not known yet."""
        if self._weights is None:
            self._waiting.append(objectives)
        else:
            self._differentiate(objectives, self._weights)

    def finish(self) -> tuple[GradientStep, CombinedGradient]:
        """See :meth:`PendingStep.finish`."""
        sums, solved = self.sums, self._weights is None
        own = [sums.losses, sums.added_losses]
        if self._weights is None:
            values = self._checked(sums.joint(own))
            losses = values[: len(sums.names)]
            weights = self.weighting(losses.new_empty(0, 0), losses, sums.names)
            for objectives in self._waiting:
                self._differentiate(objectives, weights)
            (entry,) = sum_over_ranks(self._largest()).cpu()
        else:
            weights = self._weights
            *_, entry = figures = sums.joint([*own, self._largest()])
            values = self._checked(figures[:-1])
        if not entry < float("inf"):
            raise NonFiniteError(
                f"the gradient of the weighted sum of {', '.join([*sums.names, *sums.added_names])} is not finite"
                f" (largest entry {entry:g})"
            )
        losses, added = values.split([len(sums.names), len(sums.added_names)])
        followers = sums.followers(added, weights)
        step = GradientStep(sums.names, losses, weights, None, [], sums.penalty(added), solved, followers)
        return step, self._combined(weights)

    def _differentiate(self, objectives: Sequence[Objective], weights: Tensor) -> None:
        unit, heads = self.trained.unit, self.trained.heads
        fixed = [each for each in objectives if each.weight is not None and not each.follows]
        others = [each for each in objectives if each.weight is None or each.follows]
        by_name = dict(zip(self.sums.names, weights.tolist(), strict=True))
        ones = dict.fromkeys(self.sums.names, 1.0)
        with torch.enable_grad():
            summed = others if unit else [*others, *fixed]
            total = torch.stack([each.coefficient(by_name) * each.loss for each in summed]).sum()
            terms = [each.coefficient(ones) * each.loss for each in others if each.decoder]
            own = torch.stack(terms or [total.new_zeros(())]).sum()
        if unit:
            add(self._heads, gradients_of(own, heads, True))
            self.sums.add_gradients(fixed, self.trained.parameters, True)
            add(self._shared, gradients_of(total, self.trained.shared, False))
        else:
            gradients = gradients_of(total, self.trained.parameters, False)
            add(self._shared, gradients[: len(self.trained.shared)])
            add(self._heads, gradients[len(self.trained.shared) :])

    def _checked(self, values: Tensor) -> Tensor:
        check_finite([*self.sums.names, *self.sums.added_names], values)
        return values

    def _largest(self) -> Tensor:
        gradients = [*self._shared, *self._heads, *self.sums.tensors]
        return largest(gradients, self.sums.losses).view(1)

    def _combined(self, weights: Tensor) -> CombinedGradient:
        layouts = self.trained.layouts
        flat = [layout.zeros(self.sums.losses.device) for layout in layouts]
        shared, heads = (list(layout.pieces(each)) for layout, each in zip(layouts, flat, strict=True))
        for totals, gradients in ((shared, self._shared), (heads, self._heads)):
            if totals:
                add(totals, gradients)
        self.add_unweighed(shared, heads, weights)
        return CombinedGradient(*(sum_over_ranks(each) for each in flat))
