"""A self-supervised loss inside the adversarial objective."""

from collections.abc import Sequence

import torch

from gat_lightning.attacks.problem import Problem
from gat_lightning.gradients.objectives import Objective
from gat_lightning.methods.base import Method
from gat_lightning.models import MultiTaskModel
from gat_lightning.tasks import ForwardPass, Task, TaskProblem, Views
from gat_lightning.validate import check_real
from gat_lightning.weighting.objective_names import ObjectiveName


class SelfSupervised(Method):
    """One objective for all tasks: the target's adversarial loss and λ times those of the auxiliary tasks.

    Hendrycks et al., "Using self-supervised learning can improve model robustness and uncertainty" (NeurIPS 2019),
    section 3.1, with the rotation task; the attack increases the same sum. The target is to see the upright image
    (``data.views=separate``); where the paper takes all four rotations of an image, a batch here has one of each image,
    drawn at random. Since the sum is one objective, no weighting can change λ.

    Args:
        coefficient: λ, at least 0; 0.5 in the paper.

    Raises:
        SettingError: the coefficient is out of its range.
    """

    needs_clean = False

    def __init__(self, coefficient: float = 0.5) -> None:
        self.coefficient = check_real("coefficient", coefficient, 0, example=0.5)

    def check(self, tasks: Sequence[Task], attacked: Sequence[Task]) -> None:
        """Called before training.

        Raises:
            ValueError: there is no auxiliary task.
        """
        if len(tasks) < 2:
            raise ValueError("SelfSupervised needs an auxiliary task, such as Rotation.")

    def attacked(self, tasks: Sequence[Task], chosen: Sequence[Task]) -> Sequence[Task]:
        """All of them."""
        return tasks

    def problem(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task], attacked: Sequence[Task]) -> Problem:
        """The objective itself, of each sample."""
        return TaskProblem(model, views, tasks, {task.name: self.coefficient for task in tasks[1:]})

    def objectives(
        self, tasks: Sequence[Task], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """The weighted sum, which trains every decoder."""
        assert adversarial is not None
        target, *others = [adversarial.mean_loss(task.name) for task in tasks]
        total = target + self.coefficient * torch.stack(others).sum()
        return [Objective(self.names([task.name for task in tasks])[0], None, total)]

    def names(self, tasks: Sequence[str]) -> list[str]:
        """``class/adv+rotation``: the target, then the auxiliary tasks."""
        return [str(ObjectiveName(tasks[0], "+".join(["adv", *tasks[1:]])))]
