"""Tasks without a YAML file: each predicts a binary label of the data set, and has its name."""

from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object
from omegaconf import DictConfig

from gat_lightning.errors import UserError
from gat_lightning.info import BINARY_LABELS
from gat_lightning.nearest import did_you_mean, listed, nearest

_OUR_DATA = "gat_lightning.data."


def label_task(name: str) -> dict[str, Any]:
    """The node of the task that predicts the label ``name``."""
    return {"_target_": "gat_lightning.tasks.BinaryClassification", "name": name, "pos_weight": None}


def check_label_tasks(config: DictConfig) -> None:
    """Check that each task without a file is a label that the data set declares.

    This reads no picture and no table, and imports no data set of this package, so that a misspelt task is refused
    quickly. A data set that cannot be imported is left to later checks.

    Raises:
        UserError: there is neither a file nor a label of a task's name.
    """
    made = [str(name) for name, task in (config.get("task") or {}).items() if _is_label_task(str(name), task)]
    if not made or not GlobalHydra.instance().is_initialized():
        return
    data_set = str(config.data.get("_target_"))
    try:
        labels = _binary_labels(data_set)
    except ImportError:
        return
    for name in made:
        if name not in labels and name not in (files := _task_files(config)):
            meant = did_you_mean(nearest(name, [*files, *labels]), "task=", ".")
            of_data = listed(f"Labels of {data_set.rpartition('.')[2]}", sorted(labels))
            raise UserError(f"There is no task={name}{meant}{listed('Tasks', files)}{of_data}")


def _is_label_task(name: str, task: Any) -> bool:
    made = label_task(name)
    return isinstance(task, DictConfig) and all(task.get(key) == made[key] for key in ("_target_", "name"))


def _binary_labels(data_set: str) -> tuple[str, ...]:
    if data_set.startswith(_OUR_DATA):
        return BINARY_LABELS.get(data_set.rpartition(".")[2], ())
    return tuple(getattr(get_object(data_set), "binary_labels", ()))


def _task_files(config: DictConfig) -> list[str]:
    """Names of the files in every folder that Hydra searches for this configuration."""
    hydra = config.get("hydra") or (HydraConfig.get() if HydraConfig.initialized() else None)
    name, overrides = (hydra.job.config_name, list(hydra.overrides.hydra)) if hydra else (None, [])
    return GlobalHydra.instance().config_loader().get_group_options("task", config_name=name, overrides=overrides)
