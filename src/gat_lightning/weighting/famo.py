"""FAMO: weights that let all losses fall at the same rate, from the losses alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, float64, nn

from gat_lightning.validate import check_real
from gat_lightning.weighting.base import Weighting, names_or_positions
from gat_lightning.weighting.objective_names import ObjectiveName

_EPSILON = 1e-8  # of the authors' code, added to every loss
_ROUNDING = 1e-6  # what a divergence may be below 0


class FAMO(Weighting):
    r"""Fast Adaptive Multitask Optimization (Liu, Feng, Stone and Liu, NeurIPS 2023, Algorithm 1).

    The weights follow from the losses and from logits ξ, which are 0 at first. After the optimizer's step the losses
    before and after it move the logits, by Adam with the weight decay γ:

    .. math:: z = \mathrm{softmax}(\xi), \qquad w_k = \frac{z_k / l_k}{\sum_i z_i / l_i}, \qquad
              \nabla\xi = J_z^\top \bigl(\log l - \log l'\bigr), \quad J_z = \partial z / \partial \xi

    So an objective whose loss has fallen faster than the others gets less weight. No gradient of a single objective is
    taken: a step costs one backward pass and, for l', one more forward pass on the same batch. As in the paper the
    whole model is trained by Σ w_k l_k, decoders included; the weights sum to 1.

    The rule lowers the logarithms of the losses, so that a loss which can fall to 0 takes the weight of all others. A
    curvature term is one: on digits the classes were hardly trained with ``curvature.mode=objective``.

    Losses must be at least 0, which is the lower bound of all losses here; 1e-8 is added to each, as in the authors'
    code. An objective that is missing from a step, or whose loss is exactly 0 (no label in the batch), gets no weight
    in it, and its logit and its moments of Adam stay. The same holds for the logits of losses that are not finite after
    the step.

    Args:
        lr: learning rate of the logits, above 0; 0.025 in the paper.
        gamma: γ, at least 0. The authors use 0.001 for CelebA, NYU-v2 and QM9 and 0.01 for Cityscapes.

    Raises:
        SettingError: an argument is out of its range.
    """

    adaptive = False
    needs_gramian = False

    def __init__(self, lr: float = 0.025, gamma: float = 0.001) -> None:
        self.lr = float(check_real("lr", lr, 0, closed="neither", example=0.025))
        self.gamma = float(check_real("gamma", gamma, 0, example=0.001))
        self._before: dict[str, float] = {}
        self._curved = False
        self._begin()

    def check(self, names: Sequence[str]) -> None:
        """See :meth:`Weighting.check`: all objectives fit."""
        self._curved = any(ObjectiveName.parse(name).view == "curvature" for name in names)

    def remedies(self) -> list[str]:
        """See :meth:`Weighting.remedies`: a curvature term, which can fall to 0, takes the weight of all others."""
        return [*(["curvature.mode=off"] if self._curved else []), *super().remedies()]

    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """Weights ``[K]``, float64 on the CPU; 0 for losses that are 0.

        Args:
            gramian: not looked at.
            losses: values of the objectives, ``[K]``.
            names: names of the objectives.

        Raises:
            ValueError: there are no losses, or one is negative.
        """
        if losses is None:
            raise ValueError("FAMO needs the losses.")
        values = losses.detach().to("cpu", float64)
        labels = names_or_positions(names, len(values))
        for name, value in zip(labels, values.tolist(), strict=True):
            if value < -_ROUNDING:
                raise ValueError(f"FAMO needs losses of at least 0, and that of the objective '{name}' is {value:g}.")
        self._before = {name: value for name, value in zip(labels, values.tolist(), strict=True) if value > 0}
        present = values > 0
        weights = torch.zeros_like(values)
        if self._before:
            ratios = self._shares(list(self._before)) / (values[present] + _EPSILON)
            weights[present] = ratios / ratios.sum()
        return weights

    def observe(self, losses: Tensor, names: Sequence[str]) -> None:
        """See :meth:`Weighting.observe`: moves the logits."""
        after = dict(zip(names, losses.detach().to("cpu", float64).tolist(), strict=True))
        known = [name for name in self._before if 0 < after.get(name, 0.0) < float("inf")]
        if not known:
            return
        falls = torch.tensor([[self._before[name], after[name]] for name in known], dtype=float64)
        fall = -(falls + _EPSILON).log().diff().squeeze(1)
        shares = self._shares(known)
        slope = shares * (fall - shares @ fall)
        for name, logit in self._logits.items():
            logit.grad = slope[known.index(name)] if name in known else None
        assert self._adam is not None
        self._adam.step()

    def state(self) -> dict[str, Any]:
        """The logit of each objective, and its state of Adam."""
        logits = {name: float(logit.detach()) for name, logit in self._logits.items()}
        kept = {} if self._adam is None else {name: self._adam.state[logit] for name, logit in self._logits.items()}
        moments = {name: {key: float(value) for key, value in each.items()} for name, each in kept.items()}
        return {"logits": logits, "moments": moments}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Weighting.load_state`."""
        self._begin()
        for name, value in state.get("logits", {}).items():
            logit = self._logit(name)
            assert self._adam is not None
            with torch.no_grad():
                logit.fill_(value)
            moments = {key: torch.tensor(each, dtype=float64) for key, each in state["moments"][name].items()}
            self._adam.state[logit].update(moments)

    def _begin(self) -> None:
        self._logits: dict[str, nn.Parameter] = {}
        self._adam: torch.optim.Adam | None = None
        self._before = {}

    def _logit(self, name: str) -> nn.Parameter:
        """The logit of an objective, which begins at 0."""
        if name not in self._logits:
            logit = self._logits[name] = nn.Parameter(torch.zeros((), dtype=float64))
            if self._adam is None:
                self._adam = torch.optim.Adam([logit], lr=self.lr, weight_decay=self.gamma)
            else:
                self._adam.add_param_group({"params": [logit]})
        return self._logits[name]

    def _shares(self, names: Sequence[str]) -> Tensor:
        return torch.stack([self._logit(name).detach() for name in names]).softmax(0)
