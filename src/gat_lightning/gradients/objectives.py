"""What a step is made of, and what it computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Objective:
    """One scalar loss of a step: ``Objective("class/adv", "class", loss)``.

    Attributes:
        name: ``task/view``, such as ``class/adv``.
        task: whose decoder it trains; None for all decoders.
        loss: scalar with a graph; with several micro-batches, this part's share of a sum. With several processes see
            ``world_size`` of :class:`~gat_lightning.gradients.GradientEngine`.
        decoder: whether an adaptive weighting lets it train its decoder.
        weight: a fixed coefficient, with which the objective stays out of the Gramian and the weighting, and every
            parameter gets its gradient; None for a weight that the weighting finds.
        follows: names of weighed objectives, the sum of whose weights multiplies ``weight``; for decoders that get unit
            weights, their number does. Without names, ``weight`` stands alone.
        ieee: whether its gradient is wrong by percents in TF32, as second derivatives are: no gradient of its step is
            then taken in TF32.

    Raises:
        ValueError: the arguments are in another order, the loss is no scalar, or the objective follows others without a
            ``weight``.
    """

    name: str
    task: str | None
    loss: Tensor
    decoder: bool = True
    weight: float | None = None
    ieee: bool = False
    follows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = isinstance(self.name, str) and (self.task is None or isinstance(self.task, str))
        if not named or not isinstance(self.loss, Tensor):
            given = ", ".join(type(each).__name__ for each in (self.name, self.task, self.loss))
            raise ValueError(
                f"Objective({given}): the arguments are the name, the task and the loss, a tensor, such as"
                " Objective('class/adv', 'class', loss)."
            )
        if self.task is not None and "/" in self.task:
            raise ValueError(
                f"Objective({self.name!r}, {self.task!r}, loss): the name comes before the task, such as"
                " Objective('class/adv', 'class', loss)."
            )
        if self.loss.dim():
            raise ValueError(
                f"The loss of objective '{self.name}' has the shape {list(self.loss.shape)}; it must be a scalar, such"
                " as loss.mean()."
            )
        if self.follows and self.weight is None:
            raise ValueError(
                f"Objective '{self.name}' follows the weights of {', '.join(self.follows)} and needs a coefficient for"
                " their sum: give it a weight, such as weight=1.0."
            )

    def coefficient(self, weights: Mapping[str, float]) -> float:
        """What the loss is multiplied with, given the weights of the weighed objectives by name."""
        if self.weight is None:
            return weights[self.name]
        return self.weight * followed(self.follows, weights)


def followed(follows: Sequence[str], weights: Mapping[str, float]) -> float:
    """The sum of the weights of these objectives; 1 without names."""
    return sum(weights[name] for name in follows) if follows else 1.0


@dataclass
class GradientStep:
    """What a step computed, on the CPU in float64.

    A step between two solves, and any step under a weighting that needs no Gramian, has none: its
    :attr:`stationarity`, :meth:`norms` and :meth:`cosines` raise `ValueError`.

    Attributes:
        names: of the K objectives that the weighting weighs, in order.
        losses: ``[K]``.
        weights: ``[K]``, coefficients of the objectives' gradients.
        gramian: ``[K, K]``, in the engine's space; None where one backward pass took the place of K gradients.
        empty: names of the objectives whose gradient is known to be exactly zero, which get weight 0 under an adaptive
            weighting; none where the encoder has no trainable parameter.
        penalty: Σ w l of the objectives with a fixed weight w.
        followers: value and coefficient, by name, of the objectives whose weight follows that of others.
        solved: whether the weighting was asked; otherwise the weights are those of an earlier step.
    """

    names: list[str]
    losses: Tensor
    weights: Tensor
    gramian: Tensor | None
    empty: list[str] = field(default_factory=list)
    penalty: float = 0.0
    solved: bool = True
    followers: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def stationarity(self) -> float:
        """Norm of the combined gradient ‖Σ w_k g_k‖, which is 0 at a Pareto-stationary point."""
        return float((self.weights @ self._known_gramian() @ self.weights).clamp(min=0).sqrt())

    def norms(self) -> Tensor:
        """Norms of the objectives' gradients, ``[K]``."""
        return self._known_gramian().diagonal().clamp(min=0).sqrt()

    def cosines(self) -> Tensor:
        """Cosines between the objectives' gradients, ``[K, K]``; 0 where a gradient is 0."""
        norms = self.norms()
        unit = torch.where(norms > 0, 1 / norms, 0.0)
        return (self._known_gramian() * unit[:, None] * unit[None, :]).clamp(-1, 1)

    def _known_gramian(self) -> Tensor:
        if self.gramian is None:
            raise ValueError(
                "This step has no Gramian, since it took one backward pass of the weighted sum: look at engine.solved,"
                " the last step at which the weighting was solved."
            )
        return self.gramian
