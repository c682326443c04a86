"""Training on clean and adversarial images: the outer minimisation of GAT."""

from __future__ import annotations

from collections.abc import Sequence

from gat_lightning.errors import UserError
from gat_lightning.forward import ForwardPass
from gat_lightning.gradients import Objective
from gat_lightning.methods.base import Method


class Madry(Method):
    """A clean and an adversarial loss for every task (paper, eq. 4 and appendix A.6).

    Args:
        pairing: ``combined``: one objective ``j/clean+adv`` per task, the mean of both (M objectives; with the
            curvature's the 2M - 1 of Algorithm 1); ``separate``: ``j/clean`` and ``j/adv`` (2M objectives).

    Raises:
        UserError: an unknown pairing.
    """

    def __init__(self, pairing: str = "combined") -> None:
        if pairing not in ("combined", "separate"):
            raise UserError(f"method.pairing is '{pairing}'; it must be one of: combined, separate.")
        self.combined = pairing == "combined"

    def objectives(
        self, tasks: Sequence[str], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """Mean losses of each task, combined or separate."""
        assert clean is not None
        assert adversarial is not None
        if self.combined:
            return [
                Objective(f"{task}/clean+adv", task, (clean.mean_loss(task) + adversarial.mean_loss(task)) / 2)
                for task in tasks
            ]
        passes = (("clean", clean), ("adv", adversarial))
        return [Objective(f"{task}/{view}", task, losses.mean_loss(task)) for task in tasks for view, losses in passes]

    def names(self, tasks: Sequence[str]) -> list[str]:
        """``j/clean+adv``, or ``j/clean`` and ``j/adv``, of each task."""
        views = ("clean+adv",) if self.combined else ("clean", "adv")
        return [f"{task}/{view}" for task in tasks for view in views]
