"""The target task, given by the kind of the label ``data.target``, and the tasks under attack."""

from collections.abc import Sequence

from gat_lightning.attacks.losses import DLR_CLASSES
from gat_lightning.errors import SettingError
from gat_lightning.info import DataInfo
from gat_lightning.tasks.base import Task
from gat_lightning.tasks.binary import BinaryClassification
from gat_lightning.tasks.classification import Classification
from gat_lightning.tasks.regression import Regression
from gat_lightning.validate import check_option

ATTACKED = ("target", "all", "auxiliary")
"""Values of ``attack.tasks`` (paper, Table 3)."""


def check_leading(tasks: Sequence[Task]) -> None:
    """Raise `ValueError` unless the first task can stand in for a target: be attacked, scored and chosen by."""
    if not tasks or not (tasks[0].transforms and tasks[0].kind == "multiclass"):
        found = f"'{tasks[0].name}' is the first" if tasks else "there is none"
        raise ValueError(
            "target=none needs a task that makes its own classes, and needs it first, since it is attacked and scored"
            f" in place of a target; {found}. Rotation and Jigsaw are such tasks."
        )


def target_task(data: DataInfo, name: str, pos_weight: float | str | None = None, label_smoothing: float = 0.0) -> Task:
    """The task that predicts the label ``name``, ready to use.

    Args:
        data: what is known of the data set.
        name: of the label.
        pos_weight: of a binary label, see :class:`~gat_lightning.tasks.binary.BinaryClassification`.
        label_smoothing: of a label with classes or a binary one, see
            :class:`~gat_lightning.tasks.classification.Classification`.

    Raises:
        ValueError: there is no such label, ``pos_weight`` is given for one that is not binary, or ``label_smoothing``
            for one without classes.
    """
    kind = data.labels[name].kind if name in data.labels else "multiclass"
    if pos_weight is not None and kind != "binary":
        raise SettingError("pos_weight", pos_weight, f"left out: the label '{name}' is {kind} and has no positives")
    if label_smoothing and kind == "regression":
        raise SettingError("label_smoothing", label_smoothing, f"0: the label '{name}' is a number and has no classes")
    task: Task
    if kind == "binary":
        task = BinaryClassification(name, pos_weight, label_smoothing)
    elif kind == "regression":
        task = Regression(name)
    else:
        task = Classification(name, label_smoothing)
    task.setup(data)
    return task


def attacked_tasks(tasks: Sequence[Task], which: str) -> list[Task]:
    """The tasks whose losses an attack increases.

    Args:
        tasks: of the model, the target first.
        which: ``target``, ``all`` or ``auxiliary``.

    Raises:
        SettingError: ``which`` is unknown, or there is no auxiliary task.
    """
    check_option("tasks", which, ATTACKED)
    chosen = {"target": tasks[:1], "all": tasks, "auxiliary": tasks[1:]}[which]
    if not chosen:
        raise SettingError("tasks", which, "target or all, unless there is an auxiliary task, such as Rotation")
    return list(chosen)


def check_attack_loss(loss: str | None, attacked: Sequence[Task]) -> None:
    """See that the loss of an attack is defined for the tasks that it attacks.

    Args:
        loss: ``margin``, ``dlr``, or None for the tasks' own losses.
        attacked: the tasks under attack.

    Raises:
        SettingError: a task has no classes, or too few.
    """
    for task in attacked if loss is not None else ():
        if task.kind not in ("multiclass", "binary"):
            raise SettingError(
                "loss",
                loss,
                f"left out: the attacked task '{task.name}' is {task.kind} and has no classes",
                also=(None,),
            )
        classes = 2 if task.kind == "binary" else task.outputs
        if loss == "dlr" and classes < DLR_CLASSES:
            raise SettingError(
                "loss",
                loss,
                f"margin: DLR compares {DLR_CLASSES} classes, and the attacked task '{task.name}' has {classes}",
                also=(None,),
            )
