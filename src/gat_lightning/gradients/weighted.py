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
from gat_lightning.gradients.sums import add, check_finite, gradients_of, largest
from gat_lightning.weighting import Weighting


class WeightedStep(PendingStep):
    """One backward pass of Σ w_k l_k through the encoder, whatever K is.

    Where decoders get unit weight, their own gradient is that of the plain sum Σ l_k. It is a pass of its own, which
    autograd ends at the decoders' inputs; so it costs one more backward pass of the decoders alone, and is right where
    one objective depends on several passes, and for tied weights. Objectives with a fixed weight add their pass.

    Args:
        objectives: of the first part.
        trained: what gets gradients.
        device: where the parameters are.
        flag: see :class:`PendingStep`.
        weights: ``[K]``; None where ``weighting`` finds them from the values of all parts. The graphs of the parts are
            then kept until :meth:`finish`.
        weighting: losses to weights.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        trained: Trainable,
        device: torch.device,
        flag: float,
        weights: Tensor | None,
        weighting: Weighting,
    ) -> None:
        super().__init__(objectives, trained, device, flag)
        self._weights = weights
        self._weighting = weighting
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
        own = [sums.losses, sums.fixed_losses]
        if self._weights is None:
            values = self._checked(self.joint(own))
            losses = values[: len(sums.names)]
            weights = self._weighting(losses.new_empty(0, 0), losses, sums.names)
            for objectives in self._waiting:
                self._differentiate(objectives, weights)
            (entry,) = sum_over_ranks(self._largest()).cpu()
        else:
            weights = self._weights
            *_, entry = figures = self.joint([*own, self._largest()])
            values = self._checked(figures[:-1])
        if not entry < float("inf"):
            raise NonFiniteError(
                f"the gradient of the weighted sum of {', '.join([*sums.names, *sums.fixed_names])} is not finite"
                f" (largest entry {entry:g})"
            )
        losses, fixed_losses = values.split([len(sums.names), len(sums.fixed_names)])
        step = GradientStep(sums.names, losses, weights, None, [], float(fixed_losses.sum()), solved)
        return step, self._combined()

    def _differentiate(self, objectives: Sequence[Objective], weights: Tensor) -> None:
        weighed, heads = [each for each in objectives if each.weight is None], self.trained.heads
        with torch.enable_grad():
            terms = [weight * each.loss for weight, each in zip(weights.tolist(), weighed, strict=True)]
            if not self.trained.unit:
                terms += [each.weight * each.loss for each in objectives if each.weight is not None]
            total = torch.stack(terms).sum()
            own = torch.stack([each.loss for each in weighed if each.decoder] or [total.new_zeros(())]).sum()
        if self.trained.unit:
            add(self._heads, gradients_of(own, heads, True))
            self.sums.add_fixed_gradients(objectives, self.parameters, True)
            add(self._shared, gradients_of(total, self.trained.shared, False))
        else:
            gradients = gradients_of(total, self.parameters, False)
            add(self._shared, gradients[: len(self.trained.shared)])
            add(self._heads, gradients[len(self.trained.shared) :])

    def _checked(self, values: Tensor) -> Tensor:
        check_finite([*self.sums.names, *self.sums.fixed_names], values)
        return values

    def _largest(self) -> Tensor:
        gradients = [*self._shared, *self._heads, *self.sums.fixed_gradients]
        return largest(gradients, self.sums.losses).view(1)

    def _combined(self) -> CombinedGradient:
        flat = [layout.zeros(self.sums.losses.device) for layout in self.layouts]
        pieces = [list(layout.pieces(each)) for layout, each in zip(self.layouts, flat, strict=True)]
        for totals, gradients in zip(pieces, (self._shared, self._heads), strict=True):
            if totals:
                add(totals, gradients)
        if self.sums.fixed_gradients:
            add([*pieces[0], *pieces[1]], self.sums.fixed_gradients)
        return CombinedGradient(*(sum_over_ranks(each) for each in flat))
