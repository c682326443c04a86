"""Friendly adversarial training: images that are wrong, but not further wrong than they need to be."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gat_lightning.attacks.friendly import FriendlyPGD
from gat_lightning.attacks.problem import Problem
from gat_lightning.errors import UserError
from gat_lightning.methods.adversarial import Adversarial
from gat_lightning.models import MultiTaskModel
from gat_lightning.tasks import Task
from gat_lightning.tasks.forward import TaskProblem
from gat_lightning.tasks.views import Views


class Friendly(Adversarial):
    """One objective ``j/adv`` per task, on images of PGD that stops ``tau`` steps after the target is misclassified.

    Zhang et al., "Attacks which do not kill training make adversarial learning stronger" (ICML 2020).

    Args:
        eps: radius of the ball in units of [0, 1] pixels; a number or text such as ``8/255``.
        tau: steps after the first misclassification, at least 0; the paper raises it from 0 to 3 during a run.
        norm: ``Linf``, ``L2`` or ``L1``.
        step_size: of the attack; None for ``eps / 4``.
        steps: of the attack, at most.
        mode: of the model under attack, ``eval`` or ``train``.

    Raises:
        UserError: a setting is out of its range, or a name is unknown.
    """

    def __init__(
        self,
        eps: float | str,
        tau: int = 1,
        norm: str = "Linf",
        step_size: float | str | None = None,
        steps: int = 10,
        mode: str = "eval",
    ) -> None:
        self.attack = FriendlyPGD(norm, eps, step_size, steps, tau, mode=mode)

    def check(self, tasks: Sequence[Task], attacked: Sequence[Task]) -> None:
        """Called before training.

        Raises:
            UserError: the target has no classes, or is not attacked.
        """
        target = tasks[0]
        if target.kind not in ("multiclass", "binary"):
            raise UserError(
                f"method=fat needs a target with classes, since it stops where an image is misclassified;"
                f" '{target.name}' is {target.kind}. Try method=adversarial."
            )
        if target not in attacked:
            raise UserError("method=fat needs the target among the attacked tasks: attack.tasks=target or all")

    def problem(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task], attacked: Sequence[Task]) -> Problem:
        """The attacked tasks' loss, and when the target is misclassified."""
        return DecisionProblem(model, views, tasks[0], attacked)


class DecisionProblem(TaskProblem):
    """The summed loss of the attacked tasks, and whether the target's label is missed.

    Args:
        model: the multi-task model.
        views: the prepared batch.
        target: a task with classes.
        attacked: the tasks under attack.
    """

    def __init__(self, model: MultiTaskModel, views: Views, target: Task, attacked: Sequence[Task]) -> None:
        super().__init__(model, views, attacked)
        self._decision = TaskProblem(model, views, [target])
        self._target = target
        self._labels = views.labels[target.name]

    def success(self, images: Tensor) -> Tensor:
        """Which images are misclassified, bool ``[B]``."""
        classes = self._target.log_probabilities(self._decision.outputs(images)[self._target.name])
        assert classes is not None
        return classes.argmax(1) != self._labels
