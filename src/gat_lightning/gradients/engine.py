"""Per-objective gradients, their Gramian, and the weighted combination written into ``.grad``.

Where the gradients are taken, at the encoder's parameters or at what the encoder hands to the decoders, is up to
:mod:`gat_lightning.gradients.spaces`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients.spaces import SPACES, FlatLayout
from gat_lightning.validate import check_option, check_real
from gat_lightning.weighting import Weighting


@dataclass
class Objective:
    """One scalar loss of a step.

    Attributes:
        name: ``task/view``, such as ``class/adv``.
        task: whose decoder it trains; None for all decoders.
        loss: scalar with a graph; with several ranks or micro-batches, this part's share of a sum.
        decoder: whether an adaptive weighting lets it train its decoder.
        weight: a fixed coefficient, with which the objective stays out of the Gramian and the weighting, and every
            parameter gets its gradient; None for a weight that the weighting finds.
    """

    name: str
    task: str | None
    loss: Tensor
    decoder: bool = True
    weight: float | None = None


@dataclass
class GradientStep:
    """What a step computed, on the CPU in float64.

    Attributes:
        names: of the K objectives that the weighting weighs, in order.
        losses: ``[K]``.
        weights: ``[K]``, coefficients of the objectives' gradients.
        gramian: ``[K, K]``, in the engine's space.
        empty: names of the objectives whose gradient is exactly zero, which get weight 0 under an adaptive weighting.
        penalty: Σ w l of the objectives with a fixed weight w.
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


class GradientEngine:
    """Turns the objectives of a step into ``.grad`` of every parameter.

    Shared parameters get Σ w_k ∇ l_k with w from the weighting. Decoders get the gradient of their own task's
    objectives with unit weight under an adaptive weighting; under a static one they get w_k as well, so that the step
    equals ``.backward()`` on Σ w_k l_k. An objective with a fixed weight w adds w ∇ l to every parameter's gradient.
    Everything is computed outside autocast.

    A step is one call of :meth:`step`; for a batch in parts it is one :meth:`accumulate` for each part, whose shares of
    the objectives add up, and then :meth:`finish`.

    Args:
        shared: the encoder's trainable parameters θ^s, all of one dtype and device.
        decoders: trainable parameters θ^t of each task.
        weighting: Gramian to weights.
        clip_norm: largest norm of all gradients together, to which longer ones are scaled; None for no clipping.
        space: ``parameters`` or ``representation``, see :mod:`gat_lightning.gradients.spaces`.

    Raises:
        SettingError: ``clip_norm`` is not positive, or the space is unknown.

    Example:
        >>> engine = GradientEngine(trunk.parameters(), {"class": head.parameters()}, MGDA())
        >>> engine.step([Objective("class/clean", "class", clean_loss), Objective("class/adv", "class", robust_loss)])
        >>> optimizer.step()
    """

    def __init__(
        self,
        shared: Iterable[nn.Parameter],
        decoders: Mapping[str, Iterable[nn.Parameter]],
        weighting: Weighting,
        clip_norm: float | None = None,
        space: str = "parameters",
    ) -> None:
        self.shared = list(shared)
        self.decoders = {task: list(parameters) for task, parameters in decoders.items()}
        self.weighting = weighting
        self.clip_norm = check_real("clip_norm", clip_norm, 0, closed="neither", also=(None,))
        self.space = check_option("space", space, SPACES)
        self._heads = [parameter for parameters in self.decoders.values() for parameter in parameters]
        self._gradients = SPACES[space](self.shared)
        self._sums: _Sums | None = None

    def step(self, objectives: Sequence[Objective], representation: Sequence[Tensor] = ()) -> GradientStep:
        """:meth:`accumulate` and :meth:`finish`, for a batch that is one part."""
        self.accumulate(objectives, representation)
        return self.finish()

    @torch.no_grad()
    def accumulate(self, objectives: Sequence[Objective], representation: Sequence[Tensor] = ()) -> None:
        """Take the gradients of one part of the batch. Its graphs are freed, now or by :meth:`finish`.

        Args:
            objectives: at least one without a fixed weight; the same ones in the same order for all parts.
            representation: in the space of that name, what the encoder handed to the decoders, with its graph.
        """
        try:
            with torch.autocast(self.shared[0].device.type, enabled=False):
                self._accumulate(objectives, representation)
        except BaseException:
            self._forget()
            raise

    @torch.no_grad()
    def finish(self) -> GradientStep:
        """Weigh the objectives accumulated since the last step and fill ``.grad``, replacing what was there.

        Raises:
            NonFiniteError: an objective or its gradient is NaN or infinite; nothing was written to ``.grad``.
        """
        assert self._sums is not None, "finish() needs accumulate() before it"
        try:
            with torch.autocast(self.shared[0].device.type, enabled=False):
                step = self._weigh(self._sums)
                self._write(step, self._sums)
        finally:
            self._forget()
        return step

    def _forget(self) -> None:
        self._sums = None
        self._gradients.clear()

    def _accumulate(self, objectives: Sequence[Objective], representation: Sequence[Tensor]) -> None:
        weighed = [objective for objective in objectives if objective.weight is None]
        fixed = [(objective.weight, objective) for objective in objectives if objective.weight is not None]
        if self._sums is None:
            self._sums = _Sums(self, weighed, [objective for _, objective in fixed])
        sums, space = self._sums, self._gradients
        space.begin_part(len(weighed), representation)
        for row, objective in enumerate(weighed):
            keep = row + 1 < len(weighed) or bool(fixed) or space.backward_follows
            gradients = _gradients(objective.loss, [*space.inputs, *self._head_of(objective)], keep)
            space.put(row, gradients[: len(space.inputs)])
            _add(sums.heads[row], gradients[len(space.inputs) :])
        sums.losses += torch.stack([objective.loss.double() for objective in weighed])
        if fixed:
            with torch.enable_grad():
                values = torch.stack([weight * objective.loss for weight, objective in fixed])
                total = values.sum()
            _add(sums.fixed_gradients, _gradients(total, [*self.shared, *self._heads], space.backward_follows))
            sums.fixed_losses += values.double()

    def _head_of(self, objective: Objective) -> list[nn.Parameter]:
        """The decoder parameters that an objective trains."""
        if objective.decoder and objective.task is not None:
            return self.decoders[objective.task]
        if objective.decoder:
            return self._heads
        return [] if self.weighting.adaptive else self._heads

    def _weigh(self, sums: _Sums) -> GradientStep:
        products = self._gradients.gramian()
        count = len(products)
        figures = sum_over_ranks(torch.cat([sums.losses, sums.fixed_losses, sums.largest()]))
        sizes = [products.numel(), count, len(sums.fixed), count + 1]
        table, losses, fixed_losses, largest = torch.cat([products.flatten(), figures]).cpu().split(sizes)
        products = table.view_as(products)
        names, fixed = ([objective.name for objective in each] for each in (sums.weighed, sums.fixed))
        for name, loss, square in zip(names, losses.tolist(), products.diagonal().tolist(), strict=True):
            if not (abs(loss) < float("inf") and square < float("inf")):
                raise NonFiniteError(f"objective '{name}' is not finite (value {loss:g}, gradient norm² {square:g})")
        for name, loss in zip(fixed, fixed_losses.tolist(), strict=True):
            if not abs(loss) < float("inf"):
                raise NonFiniteError(f"objective '{name}' is not finite (value {loss:g})")
        for name, entry in zip([*names, " + ".join(fixed)], largest, strict=True):
            if not entry < float("inf"):
                raise NonFiniteError(
                    f"the gradient of objective '{name}' is not finite in a decoder (largest entry {entry:g})"
                )
        kept = products.diagonal().nonzero().flatten() if self.weighting.adaptive else torch.arange(count)
        weights = torch.zeros_like(losses)
        if len(kept):
            weights[kept] = self.weighting(products[kept][:, kept], losses[kept], [names[k] for k in kept])
        empty = [name for name, square in zip(names, products.diagonal().tolist(), strict=True) if square == 0]
        return GradientStep(names, losses, weights, products, empty, float(fixed_losses.sum()))

    def _write(self, step: GradientStep, sums: _Sums) -> None:
        shared, heads = FlatLayout(self.shared), FlatLayout(self._heads)
        of_shared = self._gradients.combine(step.weights)
        of_heads = of_shared.new_zeros(heads.size)
        by_parameter = {id(p): piece for p, piece in zip(self._heads, heads.pieces(of_heads), strict=True)}
        for objective, gradients, weight in zip(sums.weighed, sums.heads, step.weights.tolist(), strict=True):
            for parameter, gradient in zip(self._head_of(objective), gradients, strict=True):
                by_parameter[id(parameter)].add_(gradient, alpha=1.0 if self.weighting.adaptive else weight)
        if sums.fixed_gradients:
            of_fixed = torch.zeros_like(of_shared)
            _add([*shared.pieces(of_fixed), *heads.pieces(of_heads)], sums.fixed_gradients)
            of_shared += sum_over_ranks(of_fixed)
        sum_over_ranks(of_heads)
        for parameter, gradient in zip(self.shared, shared.pieces(of_shared), strict=True):
            parameter.grad = gradient
        for parameter, gradient in zip(self._heads, heads.pieces(of_heads), strict=True):
            parameter.grad = gradient
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_([*self.shared, *self._heads], self.clip_norm)


class _Sums:
    """What the parts of a step have added up to so far, besides the shared parameters' gradients."""

    def __init__(self, engine: GradientEngine, weighed: Sequence[Objective], fixed: Sequence[Objective]) -> None:
        self.weighed, self.fixed = list(weighed), list(fixed)
        self.losses = engine.shared[0].new_zeros(len(weighed), dtype=torch.float64)
        self.fixed_losses = self.losses.new_zeros(len(fixed))
        self.heads: list[list[Tensor]] = [[] for _ in weighed]
        self.fixed_gradients: list[Tensor] = []

    def largest(self) -> Tensor:
        """Largest entry, ``[K + 1]``, of the gradients of each objective's decoder, and of those with fixed weights."""
        return torch.stack([self._largest(gradients) for gradients in [*self.heads, self.fixed_gradients]])

    def _largest(self, gradients: Sequence[Tensor]) -> Tensor:
        if not gradients:
            return self.losses.new_zeros(())
        return torch.stack(torch._foreach_norm(list(gradients), float("inf"))).max().double()


def _gradients(loss: Tensor, inputs: Sequence[Tensor], keep_graph: bool) -> Sequence[Tensor]:
    if not loss.requires_grad:
        return [torch.zeros_like(tensor) for tensor in inputs]
    return torch.autograd.grad(loss, inputs, retain_graph=keep_graph, allow_unused=True, materialize_grads=True)


def _add(totals: list[Tensor], gradients: Sequence[Tensor]) -> None:
    """Add to the totals in place; there are none before the first gradients."""
    if not totals:
        totals.extend(gradient.clone() for gradient in gradients)
    elif gradients:
        torch._foreach_add_(totals, list(gradients))
