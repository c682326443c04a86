"""Friendly adversarial training: PGD that stops just past the decision boundary."""

from collections.abc import Sequence

from typing_extensions import Unpack

from gat_lightning.attacks import AscentSettings, FriendlyPGD, Problem
from gat_lightning.methods.adversarial import Adversarial
from gat_lightning.models import MultiTaskModel
from gat_lightning.tasks import DecisionProblem, Task, Views


class Friendly(Adversarial):
    """One objective ``j/adv`` per task, on images of PGD that stops ``tau`` steps after the target is misclassified.

    Zhang et al., "Attacks which do not kill training make adversarial learning stronger" (ICML 2020).

    Args:
        tau: steps after the first misclassification, at least 0; the paper raises it from 0 to 3 during a run.
        **settings: of :class:`~gat_lightning.attacks.friendly.FriendlyPGD`: ``norm``, ``eps``, ``step_size``,
            ``steps``, ``loss`` and ``mode``.

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
    """

    needs_classes = True

    def __init__(self, *, tau: int = 1, **settings: Unpack[AscentSettings]) -> None:
        self.attack = FriendlyPGD(tau=tau, **settings)

    def check(self, tasks: Sequence[Task], attacked: Sequence[Task]) -> None:
        """Called before training.

        Raises:
            ValueError: the target has no classes, or is not attacked.
        """
        target = tasks[0]
        if target.kind not in ("multiclass", "binary"):
            raise ValueError(
                "Friendly needs a target with classes, since it stops where an image is misclassified;"
                f" '{target.name}' is {target.kind}. Adversarial is defined for it."
            )
        if target not in attacked:
            raise ValueError("Friendly needs the target among the attacked tasks: attack 'target' or 'all'.")

    def problem(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task], attacked: Sequence[Task]) -> Problem:
        """The attacked tasks' loss, and when the target is misclassified."""
        return DecisionProblem(model, views, tasks[0], attacked)
