"""Names of objectives: ``task/view``, such as ``class/adv``, ``macro/curvature`` or ``class/clean+adv``."""

from __future__ import annotations

from typing import NamedTuple


class ObjectiveName(NamedTuple):
    """Name of one objective of a step; ``str()`` writes it.

    Attributes:
        task: whose loss it is; the target where it sums the losses of several tasks.
        view: ``clean``, ``adv`` or another name that the method gives the loss, two of them joined by ``+`` where both
            are one objective, or ``curvature``.
    """

    task: str
    view: str

    @classmethod
    def parse(cls, text: str) -> ObjectiveName:
        """The name that ``str()`` writes as this text; a name of a user's own without ``/`` has an empty view."""
        task, _, view = text.partition("/")
        return cls(task, view)

    def __str__(self) -> str:
        return f"{self.task}/{self.view}"

    @property
    def is_adversarial(self) -> bool:
        """Whether it makes its task robust, whatever the method calls the loss: ``adv``, ``clean+adv``, ``kl``..."""
        return self.view not in ("", "clean", "curvature")
