"""Whose loss an attack increases."""

from __future__ import annotations

from collections.abc import Sequence

from gat_lightning.errors import UserError
from gat_lightning.tasks.base import Task

ATTACKED = ("target", "all", "auxiliary")
"""What ``attack.tasks`` may say (paper, Table 3)."""


def attacked_tasks(tasks: Sequence[Task], which: str) -> list[Task]:
    """The tasks, of which the first is the target, that ``target``, ``all`` or ``auxiliary`` stands for.

    Raises:
        UserError: an unknown word, or there is no auxiliary task.
    """
    if which not in ATTACKED:
        raise UserError(f"attack.tasks is '{which}'; it must be one of: {', '.join(ATTACKED)}.")
    chosen = {"target": tasks[:1], "all": tasks, "auxiliary": tasks[1:]}[which]
    if not chosen:
        raise UserError("attack.tasks=auxiliary needs an auxiliary task, for example task=rotation.")
    return list(chosen)
