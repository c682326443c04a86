"""Rules of TorchJD as weightings: their state kept by objective, their draws by step."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, float64, nn

from gat_lightning.errors import NonFiniteError, SettingError
from gat_lightning.randomness import generator_for
from gat_lightning.weighting.base import Weighting, names_or_positions
from gat_lightning.weighting.min_norm import square_matrix
from gat_lightning.weighting.torchjd_rules import make_rule, objectives_in


class TorchJD(Weighting):
    """A rule of TorchJD (Quinton and Rey, 2024, https://torchjd.org) that maps a Gramian to weights.

    A rule is named after its class ``*Weighting`` in :mod:`torchjd.aggregation`: ``FairGrad``, ``DualProj``, ``PCD``,
    ``Krum`` and so on, or ``CRMOGM`` around another one, which averages its weights over the steps. Rules to which
    TorchJD gives the Jacobian (``ExcessMTL``, ``MoDo``, ``SDMGrad``, ``Random``, ``Mean``...) or for which it has no
    weighting class (``NashMTL``, ``ConFIG``, ``GradDrop``, ``TrimmedMean``) are refused.

    The weights are TorchJD's own for the same Gramian in float64 on the CPU. Each call makes a fresh rule, and around
    it does what our weightings promise:

    - What a rule keeps between calls (``GradVac``, ``PCD``, ``CRMOGM``) is kept by the names of the objectives, and
      stays while one is missing from steps. An objective that comes later than the first step joins with what the
      rule keeps of it after one call. Numbers common to all objectives, such as PCD's count of calls, are not kept by
      objective.
    - What a rule draws from torch's global generator (``PCGrad``, ``GradVac``) follows from the seed and the number of
      calls so far; the generator is left as it was.

    Rules that treat the first objective in another way, as PCD does with its primary one, take that of the step.

    Args:
        rule: name of the rule.
        arguments: of its constructor, see :func:`~gat_lightning.weighting.torchjd_rules.make_rule`. ``alpha`` of
            FairGrad, which has no default in TorchJD, is 2 unless given.
        seed: seed of the draws.

    Raises:
        SettingError: there is no such rule over a Gramian, or an argument does not fit it.
        ImportError: TorchJD is not installed, or something else that the rule needs.
    """

    def __init__(self, rule: str = "FairGrad", arguments: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        self.rule = rule
        self.arguments: dict[str, Any] = _plain(arguments or {})
        self.seed = seed
        self.calls = 0
        self._kept: dict[str, Any] = {}
        make_rule(rule, self.arguments)

    def check(self, names: Sequence[str]) -> None:
        """See :meth:`Weighting.check`: tries the rule on orthogonal gradients of length 1."""
        unknown = sorted(objectives_in(self.arguments) - set(names))
        if unknown:
            raise ValueError(
                f"arguments names '{unknown[0]}', which is not an objective; the objectives are {', '.join(names)}."
            )
        try:
            with torch.random.fork_rng(devices=[]):
                make_rule(self.rule, self.arguments, names)(torch.eye(len(names), dtype=float64))
        except SettingError:
            raise
        except (TypeError, ValueError) as error:
            given = f" with arguments {self.arguments}" if self.arguments else ""
            raise ValueError(f"TorchJD's {self.rule} cannot weigh {', '.join(names)}{given}: {error}") from error

    def __call__(self, gramian: Tensor, losses: Tensor | None = None, names: Sequence[str] | None = None) -> Tensor:
        """See :meth:`Weighting.__call__`; ``losses`` do not matter.

        Raises:
            ValueError: the Gramian is not a square matrix, or the rule does not work for as many objectives.
            NonFiniteError: the Gramian or a weight is NaN or infinite.
        """
        matrix = torch.tensor(square_matrix(gramian))
        labels = names_or_positions(names, len(matrix))
        with torch.random.fork_rng(devices=[]):
            rule = make_rule(self.rule, self.arguments, labels)
            if self._kept:
                self._ask(rule, matrix)  # which makes the buffers
                for key, buffer in rule.named_buffers():
                    _restore(buffer, self._kept.get(key, {}), labels)
            weights = self._ask(rule, matrix)
        if not weights.isfinite().all():
            raise NonFiniteError(f"TorchJD's {self.rule} found weights that are not finite.")
        _merge(self._kept, {key: self._by_objective(buffer, labels) for key, buffer in rule.named_buffers()})
        self.calls += 1
        return weights.detach().to("cpu", float64)

    def state(self) -> dict[str, Any]:
        """The rule, the number of calls so far, and the buffers by objective."""
        return {"rule": self.rule, "calls": self.calls, "buffers": deepcopy(self._kept)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Weighting.load_state`."""
        known = state if state.get("rule") == self.rule else {}
        self.calls, self._kept = int(known.get("calls", 0)), deepcopy(dict(known.get("buffers", {})))

    def _ask(self, rule: nn.Module, matrix: Tensor) -> Tensor:
        seed = generator_for(self.seed, "torchjd", self.calls).initial_seed()
        torch.default_generator.manual_seed(seed)
        weights: Tensor = rule(matrix)
        return weights

    def _by_objective(self, buffer: Tensor, names: Sequence[str]) -> Any:
        """A number, or a buffer ``[K]``, ``[K, K]``... as a mapping from names, as deep as it has dimensions."""
        if any(size != len(names) for size in buffer.shape):
            raise ValueError(
                f"TorchJD's {self.rule} keeps a buffer of shape {list(buffer.shape)} for {len(names)} objectives,"
                " which cannot be kept by objective."
            )
        if not buffer.dim():
            return buffer.item()
        return {name: self._by_objective(row, names) for name, row in zip(names, buffer, strict=True)}


def _restore(buffer: Tensor, kept: Any, names: Sequence[str]) -> None:
    """Put the kept numbers where their objectives are now; what is not known stays."""
    if not buffer.dim():
        if not isinstance(kept, Mapping):
            buffer.fill_(kept)
        return
    for row, name in enumerate(names):
        _restore(buffer[row], kept.get(name, {}), names)


def _merge(kept: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Take what is new, and leave what belongs to objectives that are missing."""
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(kept.get(key), dict):
            _merge(kept[key], value)
        else:
            kept[key] = value


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): _plain(value) if isinstance(value, Mapping) else value for key, value in arguments.items()}
