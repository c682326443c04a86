"""Adversarial weight perturbation: gradients at weights perturbed to increase the loss."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gat_lightning.attacks.guard import unchanged_buffers
from gat_lightning.attacks.snapshot import snapshot
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.gradients.spaces import FlatLayout
from gat_lightning.validate import check_real


class WeightPerturbation:
    """Moves the weights of every layer by ``gamma`` times their own norm along the gradient of the loss, for a while.

    Wu, Xia and Wang, "Adversarial weight perturbation helps robust generalization" (NeurIPS 2020), eq. 8 to 10 and
    Algorithm 1 with one step: v_l = γ ‖w_l‖ ∇_{w_l} L / ‖∇_{w_l} L‖, L being the sum of all objectives on the same
    adversarial images. Tensors of one dimension (biases, normalisation) stay as they are. It costs one more forward and
    backward pass for the batch.

    Args:
        gamma: γ, in (0, 1]; 0.005 for TRADES and 0.01 for adversarial training in the paper's code. None for none.

    Raises:
        SettingError: ``gamma`` is not in (0, 1].
    """

    def __init__(self, gamma: float | None) -> None:
        self.gamma = check_real("gamma", gamma, 0, 1, closed="right", example=0.005, also=(None,))

    @contextmanager
    def __call__(self, model: nn.Module, losses: Callable[[], Iterable[Tensor]]) -> Iterator[None]:
        """The block runs with perturbed weights; afterwards they are what they were, bit by bit.

        Args:
            model: whose weights are moved; its buffers are not.
            losses: makes each part's share of L, in turn, on the joined batch of all ranks.
        """
        if self.gamma is None:
            yield
            return
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.dim() > 1]
        layout = FlatLayout(weights)
        joined = layout.zeros(next(model.parameters()).device)
        ascent = list(layout.pieces(joined))
        with torch.enable_grad(), unchanged_buffers(model):
            for loss in losses():
                found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
                torch._foreach_add_(ascent, list(found))
        put_back = snapshot(weights)
        sum_over_ranks(joined)
        with torch.no_grad():
            for weight, direction in zip(weights, ascent, strict=True):
                length = direction.norm()
                weight.add_(direction * (self.gamma * weight.norm() / torch.where(length > 0, length, 1.0)))
        torch.clear_autocast_cache()  # of the weights as they were, in which the block would run otherwise
        try:
            yield
        finally:
            put_back()
            torch.clear_autocast_cache()
