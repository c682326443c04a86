"""Standard training, without adversarial images."""

from collections.abc import Sequence

from gat_lightning.attacks import Attack, Problem
from gat_lightning.gradients.objectives import Objective
from gat_lightning.methods.base import Method
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import ForwardPass, Task, Views
from gat_lightning.weighting.objective_names import ObjectiveName


class Standard(Method):
    """One objective ``j/clean`` for each task j: the undefended baseline."""

    needs_adversarial = False
    selection = "clean"

    def perturb(self, attack: Attack, problem: Problem, views: Views, generator: BatchGenerator) -> None:
        """No adversarial images."""

    def objectives(
        self, tasks: Sequence[Task], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """The mean clean loss of each task."""
        assert clean is not None
        return [
            Objective(str(ObjectiveName(task.name, "clean")), task.name, clean.mean_loss(task.name)) for task in tasks
        ]

    def names(self, tasks: Sequence[str]) -> list[str]:
        """``j/clean`` of each task."""
        return [str(ObjectiveName(task, "clean")) for task in tasks]
