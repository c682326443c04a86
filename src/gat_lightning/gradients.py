"""Per-objective gradients of the shared parameters, their Gramian, and the weighted combination written into ``.grad``.

The gradient space is that of the encoder's parameters θ^s (paper, Algorithms 1 to 3). With several ranks the K
gradients are *summed* before the Gramian is taken (objectives are already divided by the joined batch's counts), so
that all ranks find the same weights and the step equals the one-process step on the joined batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import NonFiniteError, UserError
from gat_lightning.weighting import Weighting

_CHUNK = 1 << 18


@dataclass
class Objective:
    """One scalar loss of a step.

    Attributes:
        name: ``task/view``, such as ``class/adv``.
        task: whose decoder it trains.
        loss: scalar with a graph; with several ranks, this rank's part of a sum.
        decoder: whether an adaptive weighting lets it train its decoder.
    """

    name: str
    task: str
    loss: Tensor
    decoder: bool = True


@dataclass
class GradientStep:
    """What a step computed, on the CPU in float64.

    Attributes:
        names: of the K objectives, in order.
        losses: ``[K]``.
        weights: ``[K]``, coefficients of the objectives' gradients; 0 for the ones left out.
        gramian: ``[K, K]``.
        empty: names of the objectives that were left out because their gradient was exactly zero.
        penalty: value of what was added outside the weighting.
    """

    names: list[str]
    losses: Tensor
    weights: Tensor
    gramian: Tensor
    empty: list[str] = field(default_factory=list)
    penalty: float = 0.0

    @property
    def stationarity(self) -> float:
        """Norm of the combined gradient ‖Σ w_k g_k‖, which is 0 at a Pareto-stationary point."""
        return float((self.weights @ self.gramian @ self.weights).clamp(min=0).sqrt())

    def cosines(self) -> Tensor:
        """Cosines between the objectives' gradients, ``[K, K]``; 0 where a gradient is 0."""
        norms = self.gramian.diagonal().clamp(min=0).sqrt()
        unit = torch.where(norms > 0, 1 / norms, 0.0)
        return (self.gramian * unit[:, None] * unit[None, :]).clamp(-1, 1)


def gramian(gradients: Tensor) -> Tensor:
    """Inner products of the rows of ``[K, P]``, accumulated in float64: ``[K, K]`` on the same device.

    Float64 keeps squares of gradients from 1e-150 to 1e150 in range. Columns are converted piece by piece, so that no
    float64 copy of the whole is made.
    """
    total = gradients.new_zeros(len(gradients), len(gradients), dtype=torch.float64)
    for piece in gradients.split(_CHUNK, dim=1):
        wide = piece.double()
        total += wide @ wide.T
    return total


class GradientEngine:
    """Turns the objectives of a step into ``.grad`` of every parameter.

    Shared parameters get Σ w_k ∇ l_k with w from the weighting. Decoders get the gradient of their own task's
    objectives with unit weight under an adaptive weighting; under a static one they get w_k as well, so that the step
    equals ``.backward()`` on Σ w_k l_k.

    Args:
        shared: the encoder's trainable parameters θ^s, all of one dtype and device.
        decoders: trainable parameters θ^t of each task.
        weighting: Gramian to weights.
        clip_norm: largest norm of all gradients together, to which longer ones are scaled; None for no clipping.

    Raises:
        UserError: ``clip_norm`` is not positive.
    """

    def __init__(
        self,
        shared: Sequence[nn.Parameter],
        decoders: Mapping[str, Sequence[nn.Parameter]],
        weighting: Weighting,
        clip_norm: float | None = None,
    ) -> None:
        if clip_norm is not None and not clip_norm > 0:
            raise UserError(f"engine.clip_norm is {clip_norm}; it must be above 0, or null for no clipping.")
        self.shared = list(shared)
        self.decoders = {task: list(parameters) for task, parameters in decoders.items()}
        self.weighting = weighting
        self.clip_norm = clip_norm
        self._sizes = [parameter.numel() for parameter in self.shared]
        self._buffer = torch.empty(0)

    def step(self, objectives: Sequence[Objective], penalty: Tensor | None = None) -> GradientStep:
        """Compute every gradient, weigh the objectives and fill ``.grad``, replacing what was there.

        Args:
            objectives: at least one, in a stable order.
            penalty: a scalar added outside the weighting, whose gradient every parameter gets.

        Raises:
            NonFiniteError: an objective or its gradient is NaN or infinite; nothing was written to ``.grad``.
        """
        jacobian = self._rows(len(objectives))
        heads = [self._decoder_parameters(objective) for objective in objectives]
        head_gradients = []
        for row, (objective, head) in enumerate(zip(objectives, heads, strict=True)):
            keep = row + 1 < len(objectives) or penalty is not None
            head_gradients.append(self._gradient(objective.loss, head, jacobian[row], keep))
        everything = [parameter for parameters in self.decoders.values() for parameter in parameters]
        if penalty is not None:
            penalty_row = jacobian.new_empty(jacobian.shape[1])
            penalty_heads = self._gradient(penalty, everything, penalty_row, False)

        result = self._weigh(objectives, jacobian)
        if penalty is not None:
            result.penalty = float(sum_over_ranks(penalty.detach().clone()))

        coefficients = result.weights.to(jacobian)
        combined = coefficients @ jacobian
        totals = {id(parameter): torch.zeros_like(parameter) for parameter in everything}
        for head, gradients, weight in zip(heads, head_gradients, coefficients, strict=True):
            for parameter, gradient in zip(head, gradients, strict=True):
                totals[id(parameter)] += gradient if self.weighting.adaptive else weight * gradient
        if penalty is not None:
            combined += sum_over_ranks(penalty_row)
            for parameter, gradient in zip(everything, penalty_heads, strict=True):
                totals[id(parameter)] += gradient
        for parameter, piece in zip(self.shared, combined.split(self._sizes), strict=True):
            parameter.grad = piece.view_as(parameter)
        for parameter in everything:
            parameter.grad = sum_over_ranks(totals[id(parameter)])
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_([*self.shared, *everything], self.clip_norm)
        return result

    def _rows(self, count: int) -> Tensor:
        """The preallocated ``[count, P]`` buffer, which is kept between steps."""
        like = self.shared[0]
        if len(self._buffer) < count or self._buffer.device != like.device or self._buffer.dtype != like.dtype:
            self._buffer = like.new_empty(count, sum(self._sizes))
        return self._buffer[:count]

    def _decoder_parameters(self, objective: Objective) -> list[nn.Parameter]:
        if not self.weighting.adaptive and not objective.decoder:
            return [parameter for parameters in self.decoders.values() for parameter in parameters]
        return self.decoders[objective.task] if objective.decoder else []

    def _gradient(self, loss: Tensor, head: list[nn.Parameter], row: Tensor, keep_graph: bool) -> list[Tensor]:
        """Write the gradient of the shared parameters into ``row`` and return that of ``head``."""
        if not loss.requires_grad:
            row.zero_()
            return [torch.zeros_like(parameter) for parameter in head]
        gradients = torch.autograd.grad(
            loss, [*self.shared, *head], retain_graph=keep_graph, allow_unused=True, materialize_grads=True
        )
        pieces = [piece.view_as(shared) for piece, shared in zip(row.split(self._sizes), self.shared, strict=True)]
        torch._foreach_copy_(pieces, list(gradients[: len(pieces)]))
        return list(gradients[len(pieces) :])

    def _weigh(self, objectives: Sequence[Objective], jacobian: Tensor) -> GradientStep:
        sum_over_ranks(jacobian)
        losses = sum_over_ranks(torch.stack([objective.loss.detach().double() for objective in objectives]))
        table = torch.cat([gramian(jacobian), losses[:, None]], dim=1).cpu()
        products, losses = table[:, :-1], table[:, -1]
        names = [objective.name for objective in objectives]
        for name, loss, square in zip(names, losses.tolist(), products.diagonal().tolist(), strict=True):
            if not (abs(loss) < float("inf") and square < float("inf")):
                raise NonFiniteError(f"objective '{name}' is not finite (value {loss:g}, gradient norm² {square:g})")
        kept = products.diagonal().nonzero().flatten()
        weights = torch.zeros_like(losses)
        if len(kept):
            weights[kept] = self.weighting(products[kept][:, kept], losses[kept], [names[k] for k in kept])
        empty = [name for name, square in zip(names, products.diagonal().tolist(), strict=True) if square == 0]
        return GradientStep(names, losses, weights, products, empty)
