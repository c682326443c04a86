"""Base class of methods with two losses for every task, as one objective or as two."""

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from gat_lightning.gradients.objectives import Objective
from gat_lightning.methods.base import Method
from gat_lightning.tasks import ForwardPass, Task
from gat_lightning.validate import check_option
from gat_lightning.weighting.objective_names import ObjectiveName


class Paired(Method):
    """A first and a second loss for every task.

    Args:
        pairing: ``combined``: one objective ``j/first+second`` per task, made by :meth:`combine` (M objectives; with
            the curvature's the 2M - 1 of Algorithm 1); ``separate``: ``j/first`` and ``j/second`` (2M objectives), to
            which MGDA gives weights of its own: a factor inside an objective shrinks its weight.

    Raises:
        SettingError: an unknown pairing.
    """

    views: tuple[str, str]
    """Names of the two losses."""

    def __init__(self, pairing: str = "combined") -> None:
        self.combined = check_option("pairing", pairing, ("combined", "separate")) == "combined"

    @abstractmethod
    def losses(self, task: Task, clean: ForwardPass, adversarial: ForwardPass) -> tuple[Tensor, Tensor]:
        """This part's share of the two losses of a task, scalars."""

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        """Both losses as one: their sum."""
        return first + second

    def objectives(
        self, tasks: Sequence[Task], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """The losses of each task, combined or separate."""
        assert clean is not None
        assert adversarial is not None
        found = []
        for task in tasks:
            losses = self.losses(task, clean, adversarial)
            values = (self.combine(*losses),) if self.combined else losses
            names = self.names([task.name])
            found += [Objective(name, task.name, value) for name, value in zip(names, values, strict=True)]
        return found

    def names(self, tasks: Sequence[str]) -> list[str]:
        """One or two names for each task."""
        views = ("+".join(self.views),) if self.combined else self.views
        return [str(ObjectiveName(task, view)) for task in tasks for view in views]
