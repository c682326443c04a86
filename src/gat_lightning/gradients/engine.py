"""Per-objective gradients, their Gramian, and the weighted combination written into ``.grad``.

Where the gradients are taken, at the encoder's parameters or at what the encoder hands to the decoders, is up to
:mod:`gat_lightning.gradients.spaces`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gat_lightning.distributed import sum_over_ranks
from gat_lightning.gradients.checks import (
    UpdateWatch,
    check_objectives,
    check_reach,
    check_solving,
    check_world_size,
)
from gat_lightning.gradients.kept_weights import KeptWeights
from gat_lightning.gradients.objectives import GradientStep, Objective
from gat_lightning.gradients.parameters import Trainable, TrainedParameters
from gat_lightning.gradients.pending import CombinedGradient, PendingStep
from gat_lightning.gradients.solving import SolvingStep
from gat_lightning.gradients.spaces import SPACES
from gat_lightning.gradients.sums import StepSums
from gat_lightning.gradients.tf32 import tf32
from gat_lightning.gradients.weighted import WeightedStep
from gat_lightning.validate import check_int, check_option, check_real
from gat_lightning.weighting import Weighting


class GradientEngine:
    """Turns the objectives of a step into ``.grad`` of every parameter.

    Shared parameters get Σ w_k ∇ l_k with w from the weighting. Decoders get the gradient of their own task's
    objectives with unit weight under an adaptive weighting; under a static one they get w_k as well, so that the step
    equals ``.backward()`` on Σ w_k l_k. An objective with a fixed weight w adds w ∇ l to every parameter's gradient;
    one that follows weighed objectives adds w (Σ w_k) ∇ l, with the w_k that the parameter's gradient is made with.
    Everything is computed outside autocast; the Gramian and the combination never use TF32.

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
        solve_every: number of steps from one solve of the weighting to the next. In between, one backward pass of the
            weighted sum takes the place of the K gradients, see :class:`~gat_lightning.gradients.KeptWeights` for the
            weights and :class:`~gat_lightning.gradients.WeightedStep` for the pass. The gradient that it writes is that
            of a solve with the same weights.

    Attributes:
        flag: a number of this process, 0 at first, that travels with the figures of a step.
        joint_flag: its sum over the processes, as of the last step.

    Raises:
        SettingError: ``clip_norm`` is not positive, ``solve_every`` is below 1, or the space is unknown.
        ValueError: no parameters or no weighting are given where they belong, a generator was used before, weights
            are tied between the encoder and a decoder in the space ``representation``, or the weighting needs no
            Gramian and so neither a solve nor a space.

    Examples:
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
        solve_every: int = 1,
    ) -> None:
        if not isinstance(weighting, Weighting):
            raise ValueError(f"weighting must be an object, such as MGDA(), not {weighting!r}.")
        self.weighting = weighting
        self.clip_norm = check_real("clip_norm", clip_norm, 0, closed="neither", also=(None,))
        self.space = check_option("space", space, SPACES)
        self.world_size = check_int("world_size", world_size, also=(None,))
        check_solving(weighting, space, solve_every)
        self._parameters = TrainedParameters(shared, decoders)
        if self._parameters.tied and space == "representation":
            raise ValueError(
                f"space=representation is not defined for weights that are tied between the encoder and a decoder, here"
                f" that of '{self._parameters.tied[0]}': use space=parameters."
            )
        self.solve_every = check_int("solve_every", solve_every)
        self._kept = KeptWeights(solve_every)
        self._pending: PendingStep | None = None
        self.flag = self.joint_flag = 0.0
        self._checked = False
        self._take_trainable()

    def step(self, objectives: Sequence[Objective], representation: Sequence[Tensor] = ()) -> GradientStep:
        """:meth:`accumulate` and :meth:`finish`, for a batch that is one part.

        Raises:
            ValueError: :meth:`accumulate` was called before, and :meth:`finish` was not.
        """
        if self._pending is not None:
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
            with torch.autocast(self._parameters.device.type, enabled=False), _arithmetic(objectives):
                if self._pending is None:
                    self._pending = self._begin(objectives)
                self._pending.accumulate(self._divided(objectives), representation)
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
        if self._pending is None:
            raise ValueError(
                "finish() ends a step that accumulate() began: call accumulate(objectives) first, or step."
            )
        try:
            with torch.autocast(self._parameters.device.type, enabled=False), tf32(False):
                step, combined = self._pending.finish()
                self._write(combined)
        finally:
            self.joint_flag = self._pending.sums.flag
            self._forget()
        self._kept.record(step)
        self._watch.after_step(self._named_parameters())
        return step

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        """Tell a weighting that needs no Gramian what the step has made of the objectives, after the optimizer's step.

        Args:
            losses: values of the objectives on the same batch, by name, scalars without a graph: with several parts
                their sum, with several processes divided as the objectives are.
        """
        values = torch.stack([loss.detach().double() for loss in losses.values()]) / (self.world_size or 1)
        self.weighting.observe(sum_over_ranks(values).cpu(), list(losses))

    @property
    def keeps_graphs(self) -> bool:
        """Whether the graphs of all parts are kept until :meth:`finish`."""
        return self.space == "representation" or not self.weighting.needs_gramian

    @property
    def steps(self) -> int:
        """Number of steps so far."""
        return self._kept.steps

    @property
    def solved(self) -> GradientStep | None:
        """The last step at which the weighting was asked for weights."""
        return self._kept.solved

    def state(self) -> dict[str, Any]:
        """Number of steps and the weights of the last solve, for the checkpoint; the weighting's state is its own."""
        return self._kept.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._kept.load_state(state)

    def _take_trainable(self) -> None:
        self._flags = self._parameters.flags()
        self.shared, self.decoders = self._parameters.shared, self._parameters.decoders
        self._trained = Trainable(self.shared, self.decoders, self.weighting.adaptive)
        self._gradients = SPACES[self.space](self.shared)
        self._watch = UpdateWatch()

    def _named_parameters(self) -> dict[str, list[nn.Parameter]]:
        """The trainable parameters by what messages call them."""
        return {"the encoder": self.shared, **{f"the decoder of '{task}'": own for task, own in self.decoders.items()}}

    def _begin(self, objectives: Sequence[Objective]) -> PendingStep:
        """Begin a step; what does not change from step to step is checked in the first one."""
        if self._flags != self._parameters.flags():
            self._take_trainable()
        check_objectives(objectives, list(self.decoders))
        names = [objective.name for objective in objectives if objective.weight is None]
        if not self._checked:
            check_world_size(self.world_size)
            check_reach(objectives, self.shared, self.decoders)
            self.weighting.check(names)
            self._checked = True
        self._watch.before_step(self._named_parameters())
        start = StepSums(objectives, self._parameters.device, self.flag), self._trained, self.weighting
        weights = self._kept.find(names)
        if weights is None and self.weighting.needs_gramian:
            return SolvingStep(*start, self._gradients)
        return WeightedStep(*start, weights)

    def _forget(self) -> None:
        self._pending = None
        self._gradients.clear()

    def _divided(self, objectives: Sequence[Objective]) -> Sequence[Objective]:
        """The objectives as shares of a sum over the process group."""
        if self.world_size in (None, 1):
            return objectives
        with torch.enable_grad():
            return [replace(each, loss=each.loss / self.world_size) for each in objectives]

    def _write(self, combined: CombinedGradient) -> None:
        layouts, trained = self._trained.layouts, self._trained.parameters
        pieces = [piece for layout, flat in zip(layouts, combined, strict=True) for piece in layout.pieces(flat)]
        for parameter, gradient in zip(trained, pieces, strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        for parameter in self._parameters.frozen:
            parameter.grad = None
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(trained, self.clip_norm)


def _arithmetic(objectives: Sequence[Objective]) -> AbstractContextManager[None]:
    return tf32(False) if any(objective.ieee for objective in objectives) else nullcontext()
