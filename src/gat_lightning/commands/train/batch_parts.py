"""What trains on each part of a batch that has images of ``data.unlabeled``."""

from collections.abc import Sequence

from gat_lightning.config.unlabeled import OFF, UnlabeledMode
from gat_lightning.data import ImageDataModule
from gat_lightning.data.unlabeled import REST, hidden_labels
from gat_lightning.info import NO_TARGET
from gat_lightning.tasks import Task


def batch_parts(data: ImageDataModule, tasks: Sequence[Task], mode: UnlabeledMode) -> str | None:
    """What each part of a batch trains, for the log; None without ``data.unlabeled``.

    Args:
        data: of the run.
        tasks: of the run, the target first.
        mode: what the target learns from images without its label.
    """
    if data.unlabeled is None:
        return None
    further = round(data.batch_size * data.unlabeled_fraction)
    others = tasks if data.target == NO_TARGET else tasks[1:]
    of_others = [task.name for task in others if _has_labels(task, data)]
    of_target = [] if mode.name == OFF else [f"{data.target} by unlabeled.mode={mode}"]
    learning = " and ".join([*of_target, *of_others]) or f"nothing, since unlabeled.mode={mode}"
    return (
        f"Each batch of {data.batch_size} images has {data.batch_size - further} training images, for"
        f" {' and '.join(task.name for task in tasks)}, and {further} images of data.unlabeled={data.unlabeled}, for"
        f" {learning}."
    )


def _has_labels(task: Task, data: ImageDataModule) -> bool:
    """Whether a task makes its labels, or finds them at the images of ``data.unlabeled``."""
    read = set(task.labels_read or ())
    return not read or (data.unlabeled == REST and not read & hidden_labels(data.target))
