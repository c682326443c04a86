"""Per-objective gradients, their Gramian, and the weighted combination written into ``.grad``.

Where the gradients are taken, at the encoder's parameters or at what the encoder hands to the decoders, is up to
:mod:`gat_lightning.gradients.spaces`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients.checks import UpdateWatch, check_objectives, check_reach, check_world_size
from gat_lightning.gradients.objectives import GradientStep, Objective
from gat_lightning.gradients.parameters import TrainedParameters, heads
from gat_lightning.gradients.spaces import SPACES, FlatLayout
from gat_lightning.gradients.sums import StepSums, add, gradients_of
from gat_lightning.validate import check_int, check_option, check_real
from gat_lightning.weighting import Weighting


class GradientEngine:
    """Turns the objectives of a step into ``.grad`` of every parameter.

    Shared parameters get Σ w_k ∇ l_k with w from the weighting. Decoders get the gradient of their own task's
    objectives with unit weight under an adaptive weighting; under a static one they get w_k as well, so that the step
    equals ``.backward()`` on Σ w_k l_k. An objective with a fixed weight w adds w ∇ l to every parameter's gradient.
    Everything is computed outside autocast.

    Weights tied between the encoder and a decoder are shared parameters. Frozen parameters get no gradient; they may
    be frozen and thawed between steps.

    A step is one call of :meth:`step`; for a batch in parts it is one :meth:`accumulate` for each part, whose shares of
    the objectives add up, and then :meth:`finish`. Models that checkpoint activations must do so without reentry
    (``use_reentrant=False``), and optimizers must step without a closure, which excludes LBFGS.

    Args:
        shared: the encoder's parameters θ^s, all on one device.
        decoders: parameters θ^t of each task, on the same device.
        weighting: Gramian to weights. Its :meth:`~gat_lightning.weighting.Weighting.check` is called in the first step.
        clip_norm: largest norm of all gradients together, to which longer ones are scaled; None for no clipping.
        space: ``parameters`` or ``representation``, see :mod:`gat_lightning.gradients.spaces`.
        world_size: number by which objectives are divided before they are summed over the process group. The number of
            processes where each objective is the mean over a process's own images, which gives the mean of the
            processes' gradients, as DistributedDataParallel does. 1 where it is the sum of the losses divided by the
            joined batch's number of images, which is right for parts of unequal size too. Needed with several
            processes.

    Raises:
        SettingError: ``clip_norm`` is not positive, or the space is unknown.
        ValueError: no parameters or no weighting are given where they belong, a generator was used before, or weights
            are tied between the encoder and a decoder in the space ``representation``.

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
        world_size: int | None = None,
    ) -> None:
        if not isinstance(weighting, Weighting):
            raise ValueError(f"weighting must be an object, such as MGDA(), not {weighting!r}.")
        self.weighting = weighting
        self.clip_norm = check_real("clip_norm", clip_norm, 0, closed="neither", also=(None,))
        self.space = check_option("space", space, SPACES)
        self.world_size = check_int("world_size", world_size, also=(None,))
        self._parameters = TrainedParameters(shared, decoders)
        if self._parameters.tied and space == "representation":
            raise ValueError(
                f"space=representation is not defined for weights that are tied between the encoder and a decoder, here"
                f" that of '{self._parameters.tied[0]}': use space=parameters."
            )
        self._sums: StepSums | None = None
        self._checked = False
        self._take_trainable()

    def step(self, objectives: Sequence[Objective], representation: Sequence[Tensor] = ()) -> GradientStep:
        """:meth:`accumulate` and :meth:`finish`, for a batch that is one part.

        Raises:
            ValueError: :meth:`accumulate` was called before, and :meth:`finish` was not.
        """
        if self._sums is not None:
            raise ValueError("step() is accumulate() and finish() at once: after accumulate() call finish().")
        self.accumulate(objectives, representation)
        return self.finish()

    @torch.no_grad()
    def accumulate(self, objectives: Sequence[Objective], representation: Sequence[Tensor] = ()) -> None:
        """Take the gradients of one part of the batch. Its graphs are freed, now or by :meth:`finish`.

        Args:
            objectives: at least one without a fixed weight; the same ones in the same order for all parts.
            representation: in the space of that name, what the encoder handed to the decoders, with its graph.

        Raises:
            ValueError: the objectives do not fit the engine, the weighting, the process group or the parts before.
        """
        try:
            with torch.autocast(self._parameters.device.type, enabled=False):
                if self._sums is None:
                    self._begin(objectives)
                self._accumulate(objectives, representation)
        except BaseException:
            self._forget()
            raise

    @torch.no_grad()
    def finish(self) -> GradientStep:
        """Weigh the objectives accumulated since the last step and fill ``.grad``, replacing what was there.

        Raises:
            NonFiniteError: an objective or its gradient is NaN or infinite; nothing was written to ``.grad``.
            ValueError: nothing was accumulated.
        """
        if self._sums is None:
            raise ValueError(
                "finish() ends a step that accumulate() began: call accumulate(objectives) first, or step."
            )
        try:
            with torch.autocast(self._parameters.device.type, enabled=False):
                step = self._weigh(self._sums)
                self._write(step, self._sums)
        finally:
            self._forget()
        self._watch.after_step(self._named_parameters())
        return step

    def _take_trainable(self) -> None:
        self._flags = self._parameters.flags()
        self.shared, self.decoders = self._parameters.shared, self._parameters.decoders
        self._heads = heads(self.decoders)
        self._gradients = SPACES[self.space](self.shared)
        self._watch = UpdateWatch()

    def _named_parameters(self) -> dict[str, list[nn.Parameter]]:
        """The trainable parameters by what messages call them."""
        return {"the encoder": self.shared, **{f"the decoder of '{task}'": own for task, own in self.decoders.items()}}

    def _begin(self, objectives: Sequence[Objective]) -> None:
        """Begin a step; what does not change from step to step is checked in the first one."""
        if self._flags != self._parameters.flags():
            self._take_trainable()
        check_objectives(objectives, list(self.decoders))
        if not self._checked:
            check_world_size(self.world_size)
            check_reach(objectives, self.shared, self.decoders)
            self.weighting.check([objective.name for objective in objectives if objective.weight is None])
            self._checked = True
        self._watch.before_step(self._named_parameters())
        self._sums = StepSums(objectives, self._parameters.device)

    def _forget(self) -> None:
        self._sums = None
        self._gradients.clear()

    def _accumulate(self, objectives: Sequence[Objective], representation: Sequence[Tensor]) -> None:
        sums, space = self._sums, self._gradients
        assert sums is not None
        sums.check_part(objectives)
        if self.world_size is not None and self.world_size > 1:
            with torch.enable_grad():
                objectives = [replace(each, loss=each.loss / self.world_size) for each in objectives]
        weighed = [objective for objective in objectives if objective.weight is None]
        fixed = [(objective.weight, objective) for objective in objectives if objective.weight is not None]
        space.begin_part(len(weighed), representation, sums.losses.device)
        for row, objective in enumerate(weighed):
            keep = row + 1 < len(weighed) or bool(fixed) or space.backward_follows
            gradients = gradients_of(objective.loss, [*space.inputs, *self._head_of(objective)], keep)
            space.put(row, gradients[: len(space.inputs)])
            add(sums.heads[row], gradients[len(space.inputs) :])
        sums.losses += torch.stack([objective.loss.double() for objective in weighed])
        if fixed:
            with torch.enable_grad():
                values = torch.stack([weight * objective.loss for weight, objective in fixed])
                total = values.sum()
            add(sums.fixed_gradients, gradients_of(total, [*self.shared, *self._heads], space.backward_follows))
            sums.fixed_losses += values.double()

    def _head_of(self, objective: Objective) -> list[nn.Parameter]:
        """The decoder parameters that an objective trains."""
        if objective.decoder and objective.task is not None:
            return self.decoders[objective.task]
        if objective.decoder:
            return self._heads
        return [] if self.weighting.adaptive else self._heads

    def _weigh(self, sums: StepSums) -> GradientStep:
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
        squares = products.diagonal().tolist() if self.shared else []
        empty = [name for name, square in zip(names, squares, strict=False) if square == 0]
        return GradientStep(names, losses, weights, products, empty, float(fixed_losses.sum()))

    def _write(self, step: GradientStep, sums: StepSums) -> None:
        shared, decoders = FlatLayout(self.shared), FlatLayout(self._heads)
        of_shared = self._gradients.combine(step.weights)
        of_heads = decoders.zeros(of_shared.device)
        by_parameter = dict(zip(self._heads, decoders.pieces(of_heads), strict=True))
        for objective, gradients, weight in zip(sums.weighed, sums.heads, step.weights.tolist(), strict=True):
            for parameter, gradient in zip(self._head_of(objective), gradients, strict=True):
                by_parameter[parameter].add_(gradient, alpha=1.0 if self.weighting.adaptive else weight)
        if sums.fixed_gradients:
            of_fixed = torch.zeros_like(of_shared)
            add([*shared.pieces(of_fixed), *decoders.pieces(of_heads)], sums.fixed_gradients)
            of_shared += sum_over_ranks(of_fixed)
        sum_over_ranks(of_heads)
        pieces = [*shared.pieces(of_shared), *decoders.pieces(of_heads)]
        trained = [*self.shared, *self._heads]
        for parameter, gradient in zip(trained, pieces, strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        for parameter in self._parameters.frozen:
            parameter.grad = None
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(trained, self.clip_norm)
