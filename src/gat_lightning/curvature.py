"""Measures on pairs of task gradients (paper, definitions 3.2 to 3.4) and the curvature objectives made of one (eq. 5).

g_j is the gradient of task j's clean loss with respect to the plain input. All measures are per sample: gradients
``[B, ...]`` are flattened to ``[B, n]`` and a measure returns ``[B]``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import UserError
from gat_lightning.forward import ForwardPass
from gat_lightning.gradients import Objective

MODES = ("objective", "penalty", "off")


def _unit(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Direction ``[B, n]`` (0 where the gradient is 0) and whether there is one, bool ``[B, 1]``.

    Scaling by the largest element first keeps squares of tiny and huge gradients inside the floating-point range.
    """
    scale = gradient.detach().abs().amax(1, keepdim=True)
    nonzero = scale > 0
    scaled = torch.where(nonzero, gradient, 1.0) / torch.where(nonzero, scale, 1.0)
    return torch.where(nonzero, scaled / scaled.norm(dim=1, keepdim=True), 0.0), nonzero


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of the angle between the gradients of each sample, in [-1, 1]; 0 where either is 0.

    Definition 3.2: gradients conflict where it is negative.
    """
    return (_unit(first.flatten(1))[0] * _unit(second.flatten(1))[0]).sum(1)


def magnitude_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Definition 3.3: 2 ‖g_i‖ ‖g_j‖ / (‖g_i‖² + ‖g_j‖²), in [0, 1]; 0 where both gradients are 0."""
    first, second = first.flatten(1), second.flatten(1)
    scale = torch.maximum(first.detach().abs().amax(1), second.detach().abs().amax(1))
    safe = torch.where(scale > 0, scale, 1.0).unsqueeze(1)
    a, b = (first / safe).norm(dim=1), (second / safe).norm(dim=1)
    return 2 * a * b / torch.where(scale > 0, a**2 + b**2, 1.0)


def curvature_measure(first: Tensor, second: Tensor) -> Tensor:
    r"""Definition 3.4, the multi-task curvature bounding measure of each sample's two gradients.

    .. math:: \xi(g_i, g_j) = (1 - \cos^2 \phi_{ij}) \, \|g_i - g_j\|^2 / \|g_i + g_j\|^2

    With a the longer of the two gradients, b the shorter and s = a + b, this is
    :math:`\|a - b\|^2 / \|a\|^2 \cdot \|v - \hat s (\hat s \cdot v)\|^2` where :math:`v = b / \|b\|` and
    :math:`\hat s = s / \|s\|`, in which nothing cancels: equal, nearly opposite (ξ tends to 4 at equal norms), tiny and
    huge gradients all give the right value and derivative. Exactly 0, with zero derivative, where either gradient or
    their sum is 0.

    Args:
        first: ``[B, ...]``.
        second: ``[B, ...]``.

    Returns:
        ``[B]``, in [0, 4]. Differentiable.
    """
    first, second = first.flatten(1), second.flatten(1)
    scale = torch.maximum(first.detach().abs().amax(1), second.detach().abs().amax(1)).unsqueeze(1)
    safe = torch.where(scale > 0, scale, 1.0)
    a, b = first / safe, second / safe
    first_is_longer = a.detach().norm(dim=1, keepdim=True) >= b.detach().norm(dim=1, keepdim=True)
    longer = torch.where(first_is_longer, a, b)
    direction, has_shorter = _unit(torch.where(first_is_longer, second, first))
    total, has_sum = _unit(a + b)
    defined = has_shorter & has_sum
    across = direction - total * (total * direction).sum(1, keepdim=True)
    length = torch.where(defined, longer, 1.0).square().sum(1)
    measure = (a - b).square().sum(1) / length * across.square().sum(1)
    return torch.where(defined.squeeze(1), measure, 0.0)


def curvature_losses(clean: ForwardPass, tasks: Sequence[str]) -> dict[str, Tensor]:
    """The regularisation terms of eq. 5: L_j = Σ_{k<j} ξ(g_j, g_k), for every task j after the first.

    ξ is averaged over the samples of the joined batch that have both labels; input gradients are those of the summed
    loss, which are per-sample gradients unless BatchNorm couples the samples.

    Args:
        clean: forward pass on clean images that require a gradient.
        tasks: names, the target's first.

    Returns:
        ``{task: scalar}``, this rank's part of each term, with the graph for a double backward.
    """
    gradients = {
        task: torch.autograd.grad(clean.losses[task].sum(), clean.images, create_graph=True)[0] for task in tasks
    }
    pairs = [(task, other) for position, task in enumerate(tasks) for other in tasks[:position]]
    both = torch.stack([clean.valid[task] & clean.valid[other] for task, other in pairs])
    counts = sum_over_ranks(both.sum(1).to(clean.images.dtype)).clamp(min=1)
    terms = {task: clean.images.new_zeros(()) for task in tasks[1:]}
    for (task, other), valid, count in zip(pairs, both, counts, strict=True):
        measure = curvature_measure(gradients[task], gradients[other])
        terms[task] = terms[task] + torch.where(valid, measure, 0.0).sum() / count
    return terms


class Curvature:
    """How the curvature terms enter a step.

    Args:
        mode: ``objective``: M - 1 more objectives ``j/curvature``, weighed with the others (Algorithm 1), without
            gradients for the decoders; ``penalty``: their sum is added with ``coefficient`` (eq. 5), and the decoders
            get its gradient too; ``off``: no term (GAT-noReg of Table 11).
        derivative: ``exact``: double backward.
        coefficient: λ of ``penalty``.

    Raises:
        UserError: an unknown mode or derivative, or a negative coefficient.
    """

    def __init__(self, mode: str = "objective", derivative: str = "exact", coefficient: float = 1.0) -> None:
        if mode not in MODES:
            raise UserError(f"curvature.mode is '{mode}'; it must be one of: {', '.join(MODES)}.")
        if derivative != "exact":
            raise UserError(f"curvature.derivative is '{derivative}'; it must be: exact.")
        if not 0 <= coefficient < float("inf"):
            raise UserError(f"curvature.coefficient is {coefficient}; it must be a number of at least 0.")
        self.mode = mode
        self.coefficient = coefficient

    def enabled(self, tasks: Sequence[str]) -> bool:
        """Whether a step on these tasks has curvature terms."""
        return self.mode != "off" and len(tasks) > 1

    def names(self, tasks: Sequence[str]) -> list[str]:
        """Names of the objectives of these tasks, before any step is made."""
        return [f"{task}/curvature" for task in tasks[1:]] if self.mode == "objective" else []

    def __call__(self, clean: ForwardPass | None, tasks: Sequence[str]) -> tuple[list[Objective], Tensor | None]:
        """The curvature's objectives, and what is added outside the weighting: one of them is always empty."""
        if clean is None or not self.enabled(tasks):
            return [], None
        terms = curvature_losses(clean, tasks)
        if self.mode == "penalty":
            return [], self.coefficient * torch.stack(list(terms.values())).sum()
        return [Objective(f"{task}/curvature", task, term, decoder=False) for task, term in terms.items()], None
