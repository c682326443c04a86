"""The curvature terms' parameter gradients without a double backward.

With v_k = ∂ξ_j/∂g_k held fixed, ∇θ ξ_j = Σ_{k≤j} ∇θ [v_k · ∇x L_k], and v_k · ∇x L_k is a directional derivative of the
loss: per sample ‖v_k‖/h times the difference of L_k between x + h v_k/‖v_k‖ and x, or between x + h v_k/‖v_k‖ and
x - h v_k/‖v_k‖ at half the weight.

How good it is. For smooth networks the error falls with h (forward) or h² (central), until rounding takes over. In a
ReLU network the input gradient jumps where a displacement crosses a kink; the double backward does not see these jumps,
the difference does, and they grow like noise as h shrinks. A step of the length of an adversarial perturbation (L2 1.7
for 8/255 in 3 x 32 x 32 pixels) averages over many kinks and agrees best with the exact derivative:
``benchmarks/README.md`` has the measured errors over h. Where BatchNorm couples the samples, the displacement of one
moves the loss of others, which costs more agreement.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gat_lightning.tasks.forward import ForwardPass

LossesAt = Callable[[ForwardPass, Tensor, str], Tensor]
"""(pass, other images ``[B, C, H, W]``, task) -> loss of each sample ``[B]``, by a pass with a graph that differs from
the first in the images alone: what the network draws (dropout, stochastic depth) is the same."""


def displaced(
    term: Tensor, clean: ForwardPass, gradients: Mapping[str, Tensor], losses_at: LossesAt, step: float, central: bool
) -> Tensor:
    """A scalar with the value of ``term``, whose derivative by the parameters is the difference quotient of ``term``'s.

    Args:
        term: scalar function of the gradients.
        clean: the forward pass on clean images.
        gradients: g_k ``[B, C, H, W]`` by task, leaves of the term's graph; those that it does not depend on are left
            out, and cost no pass.
        losses_at: forward pass of one task on other images, with the same draws.
        step: h, above 0, the L2 length of a sample's displacement in pixels of [0, 1].
        central: displace in both directions.
    """
    partial: Sequence[Tensor | None] = torch.autograd.grad(
        term, list(gradients.values()), allow_unused=True, retain_graph=True
    )
    quotient = term.new_zeros(())
    for task, direction in zip(gradients, partial, strict=True):
        if direction is None:
            continue
        length, unit = _split(direction)
        scale = (length / step).clamp(max=torch.finfo(length.dtype).max)
        ahead = losses_at(clean, clean.images.detach() + step * unit, task)
        if central:
            behind = losses_at(clean, clean.images.detach() - step * unit, task)
            quotient = quotient + (scale / 2 * (ahead - behind)).sum()
        else:
            quotient = quotient + (scale * (ahead - clean.losses[task])).sum()
    return quotient - quotient.detach() + term.detach()


def _split(direction: Tensor) -> tuple[Tensor, Tensor]:
    """L2 length of each sample ``[B]`` and unit direction; both 0 where the direction is."""
    flat = direction.flatten(1)
    largest = flat.abs().amax(1, keepdim=True)
    scaled = flat / torch.where(largest > 0, largest, 1.0)
    length = scaled.norm(dim=1, keepdim=True)
    unit = scaled / torch.where(length > 0, length, 1.0)
    return (length * largest).squeeze(1), unit.view_as(direction)
