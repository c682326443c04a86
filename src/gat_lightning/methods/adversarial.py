"""Adversarial training on adversarial images only."""

from collections.abc import Sequence

from gat_lightning.gradients.objectives import Objective
from gat_lightning.methods.base import Method
from gat_lightning.tasks import ForwardPass, Task
from gat_lightning.weighting.objective_names import ObjectiveName


class Adversarial(Method):
    """One objective ``j/adv`` for each task j (eq. 2 for every task; Madry et al., 2018, as usually implemented)."""

    needs_clean = False

    def objectives(
        self, tasks: Sequence[Task], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """The mean adversarial loss of each task."""
        assert adversarial is not None
        return [
            Objective(str(ObjectiveName(task.name, "adv")), task.name, adversarial.mean_loss(task.name))
            for task in tasks
        ]

    def names(self, tasks: Sequence[str]) -> list[str]:
        """``j/adv`` of each task."""
        return [str(ObjectiveName(task, "adv")) for task in tasks]
