"""A weighting by agreement with the sum of all gradients."""

from collections.abc import Sequence

from torch import Tensor

from gat_lightning import Weighting


class Agreement(Weighting):
    """Weights in proportion to the inner product of g_k with Σ g_j.

    An objective whose gradient opposes the sum gets no weight.
    """

    def __call__(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        names: Sequence[str] | None = None,
    ) -> Tensor:
        """Weights ``[K]``, 1 in sum, or all 0 if the gradients are."""
        agreement = gramian.double().sum(1).clamp(min=0)
        return agreement / agreement.sum().clamp(min=1e-30)
