"""Checks of what a step is given, and of what an optimizer does with the step before."""

import warnings
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from gat_lightning.distributed import rank_count
from gat_lightning.errors import ReentrantCheckpointingError, SettingError
from gat_lightning.gradients.objectives import Objective
from gat_lightning.weighting import Weighting


def check_objectives(objectives: Sequence[Objective], tasks: Sequence[str]) -> None:
    """See that the objectives of a step have names of their own and tasks that the engine knows.

    Raises:
        ValueError: they have not, all have a fixed weight, or one follows an objective that is not weighed.
    """
    names = [objective.name for objective in objectives]
    if all(objective.weight is not None for objective in objectives):
        raise ValueError("A step needs at least one objective without a fixed weight.")
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"Several objectives are called '{repeated[0]}'; weights and floors go by the names.")
    weighed = [objective.name for objective in objectives if objective.weight is None]
    for objective in objectives:
        if strange := [name for name in objective.follows if name not in weighed]:
            raise ValueError(
                f"Objective '{objective.name}' follows '{strange[0]}', which is no objective without a fixed weight;"
                f" there are {', '.join(weighed)}."
            )
        if objective.task is not None and objective.task not in tasks:
            raise ValueError(
                f"Objective '{objective.name}' is of the task '{objective.task}', which has no decoder in the engine"
                f" ({', '.join(tasks) or 'there are none'}): add '{objective.task}': head.parameters() to decoders, or"
                " give the objective task=None if it trains the decoders that are there."
            )


def check_reach(
    objectives: Sequence[Objective], shared: Sequence[nn.Parameter], decoders: Mapping[str, Sequence[nn.Parameter]]
) -> None:
    """See that every trainable parameter that an objective depends on gets its gradient.

    The graphs are walked, which takes milliseconds. Decoders of objectives that train none do not count.

    Raises:
        ValueError: no objective depends on a trainable parameter, or one depends on parameters that the engine does not
            have, or on a decoder of another task.
        ReentrantCheckpointingError: its graph lacks the parameters of activations that are checkpointed with reentry.
    """
    if not any(objective.loss.requires_grad for objective in objectives):
        raise ValueError(
            "No objective depends on a trainable parameter, so that the step would train nothing: compute the losses"
            " with gradients enabled and without detach(), from a model with requires_grad."
        )
    every = {parameter for own in decoders.values() for parameter in own}
    for objective in objectives:
        reached = _parameters_of(objective.loss)
        if not objective.decoder:
            continue
        everywhere = objective.task is None or objective.weight is not None
        trained = {*shared, *(every if everywhere else decoders[str(objective.task)])}
        missing = [parameter for parameter in reached if parameter not in trained]
        if unknown := [parameter for parameter in missing if parameter not in every]:
            shapes = ", ".join(str(list(parameter.shape)) for parameter in unknown[:3])
            more = ", ..." if len(unknown) > 3 else ""
            raise ValueError(
                f"Objective '{objective.name}' depends on {len(unknown)} trainable parameters that the engine does not"
                f" have (of the shapes {shapes}{more}), so that nothing would train them: add them to shared or to"
                " decoders, or freeze them with requires_grad_(False)."
            )
        if missing:
            others = [task for task, own in decoders.items() if not set(missing).isdisjoint(own)]
            raise ValueError(
                f"Objective '{objective.name}' is of the task '{objective.task}', but depends on the decoder of"
                f" {', '.join(others)}, which it would not train: give it that task, or task=None for all decoders."
            )


def _parameters_of(loss: Tensor) -> list[nn.Parameter]:
    """The parameters that a loss depends on."""
    seen, waiting, found = set(), [loss.grad_fn], []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == "CheckpointFunctionBackward":
            raise ReentrantCheckpointingError
        if isinstance(leaf := getattr(node, "variable", None), nn.Parameter):
            found.append(leaf)
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
    return found


def check_world_size(world_size: int | None) -> None:
    """Compare what the objectives are divided by with the process group.

    Raises:
        ValueError: there are several processes and it is not said what the objectives are, or it is another number.
    """
    ranks = rank_count()
    if world_size is None and ranks > 1:
        raise ValueError(
            f"The process group has {ranks} processes, so say what the objectives are: world_size={ranks} for means"
            " over each process's own images, whose gradients are averaged; world_size=1 for sums of losses that are"
            " divided by the joined batch's number of images, whose gradients are added."
        )
    if world_size not in (None, 1, ranks):
        several = f"1 or {ranks}, the number of processes in the process group"
        raise SettingError("world_size", world_size, several if ranks > 1 else "1 without a process group")


def check_solving(weighting: Weighting, space: str, solve_every: int) -> None:
    """See that a weighting without a Gramian is given no setting of how the Gramian is had.

    Raises:
        SettingError: it is.
    """
    if weighting.needs_gramian:
        return
    name = type(weighting).__name__
    if solve_every != 1:
        raise SettingError("solve_every", solve_every, f"1 with {name}, which takes one backward pass in every step")
    if space != "parameters":
        raise SettingError("space", space, f"parameters with {name}, which needs no gradients of single objectives")


class UpdateWatch:
    """Warns once of parameters that a step gave gradients and that the optimizer has left as they were.

    It compares the counters of in-place changes that torch keeps for every tensor.
    """

    def __init__(self) -> None:
        self._changes: dict[str, list[int]] = {}
        self._watching = True

    def after_step(self, parameters: Mapping[str, Sequence[nn.Parameter]]) -> None:
        """Remember the parameters' states; the mapping has what they are called."""
        if self._watching:
            self._changes = _changes(parameters)

    def before_step(self, parameters: Mapping[str, Sequence[nn.Parameter]]) -> None:
        """Warn if some were changed since the last step, and others not."""
        if not self._watching:
            return
        before, now = self._changes, _changes(parameters)
        if before.keys() != now.keys():
            return
        still = [name for name in now if now[name] == before[name]]
        self._watching = len(still) == len(now)
        if still and not self._watching:
            warnings.warn(
                f"The optimizer has not changed the parameters of {', '.join(still)}, which got gradients in the last"
                " step: give it all parameters, such as [*trunk.parameters(), *heads.parameters()].",
                stacklevel=4,
            )


def _changes(parameters: Mapping[str, Sequence[nn.Parameter]]) -> dict[str, list[int]]:
    return {name: [each._version for each in own] for name, own in parameters.items() if own}
