"""The parameters that an engine trains: the shared ones and each decoder's."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from gat_lightning.gradients.objectives import Objective
from gat_lightning.gradients.spaces import FlatLayout


class TrainedParameters:
    """θ^s and the θ^t, each parameter once; frozen ones are left out for as long as they are frozen.

    A parameter of the encoder that is tied to a decoder's is one of θ^s: every objective has a gradient for it, which
    is that of both uses. One that several decoders have gets the gradients of all their tasks.

    Args:
        shared: θ^s.
        decoders: θ^t by task.

    Raises:
        ValueError: something else than parameters, or a generator that was used before.
    """

    def __init__(self, shared: Iterable[nn.Parameter], decoders: Mapping[str, Iterable[nn.Parameter]]) -> None:
        if not isinstance(decoders, Mapping):
            raise ValueError(
                f"decoders must be parameters by task, such as {{'class': head.parameters()}}, not a"
                f" {type(decoders).__name__}."
            )
        self._shared = _listed("shared", shared)
        listed = {task: _listed(f"decoders[{task!r}]", own) for task, own in decoders.items()}
        among_shared = set(self._shared)
        self.tied = [task for task, own in listed.items() if not among_shared.isdisjoint(own)]
        self._decoders = {task: [each for each in own if each not in among_shared] for task, own in listed.items()}
        self._all = _distinct([*self._shared, *(each for own in self._decoders.values() for each in own)])

    @property
    def shared(self) -> list[nn.Parameter]:
        """θ^s, without the frozen ones."""
        return _trainable(self._shared)

    @property
    def decoders(self) -> dict[str, list[nn.Parameter]]:
        """θ^t by task, without the frozen ones."""
        return {task: _trainable(own) for task, own in self._decoders.items()}

    @property
    def frozen(self) -> list[nn.Parameter]:
        """Those that require no gradient now."""
        return [parameter for parameter in self._all if not parameter.requires_grad]

    @property
    def device(self) -> torch.device:
        """Where they are.

        Raises:
            ValueError: there are no parameters.
        """
        if not self._all:
            raise ValueError("There are no parameters to train: give the engine those of the encoder and the decoders.")
        return self._all[0].device

    def flags(self) -> list[bool]:
        """Which parameters require a gradient now."""
        return [parameter.requires_grad for parameter in self._all]


@dataclass(frozen=True)
class Trainable:
    """The parameters that a step gives gradients.

    Attributes:
        shared: θ^s.
        decoders: θ^t by task.
        unit: whether decoders get the gradients of their own task's objectives with unit weight, as under an adaptive
            weighting; otherwise each objective's weight is the same for all parameters.
    """

    shared: list[nn.Parameter]
    decoders: dict[str, list[nn.Parameter]]
    unit: bool

    @cached_property
    def heads(self) -> list[nn.Parameter]:
        """The parameters of all decoders, each once."""
        return _distinct([parameter for own in self.decoders.values() for parameter in own])

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that get gradients: the shared ones, then those of the decoders."""
        return [*self.shared, *self.heads]

    @property
    def layouts(self) -> tuple[FlatLayout, FlatLayout]:
        """Of the shared parameters and of the decoders'."""
        return FlatLayout(self.shared), FlatLayout(self.heads)

    def head_of(self, objective: Objective) -> list[nn.Parameter]:
        """The decoder parameters that an objective trains."""
        if objective.decoder and objective.task is not None:
            return self.decoders[objective.task]
        if objective.decoder:
            return self.heads
        return [] if self.unit else self.heads


def _trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]


def _distinct(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return list(dict.fromkeys(parameters))


def _listed(name: str, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    if inspect.isgenerator(parameters) and inspect.getgeneratorstate(parameters) != inspect.GEN_CREATED:
        raise ValueError(
            f"{name} is a generator that was used before, of which parameters are missing now: call"
            " module.parameters() for each use, or keep list(module.parameters())."
        )
    if not isinstance(parameters, Iterable) or isinstance(parameters, (nn.Module, Tensor)):
        raise ValueError(f"{name} must be parameters, such as module.parameters(), not a {type(parameters).__name__}.")
    listed = list(parameters)
    if wrong := [type(each).__name__ for each in listed if not isinstance(each, Tensor)]:
        raise ValueError(f"{name} has a {wrong[0]} where it must have parameters, such as module.parameters().")
    return _distinct(listed)
