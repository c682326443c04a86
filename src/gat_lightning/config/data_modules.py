"""Check of the class of the data module: training and evaluation need more than a `LightningDataModule` has."""

import inspect
from typing import Any

from omegaconf import DictConfig

from gat_lightning.config.constructors import target_of
from gat_lightning.errors import UserError


def check_data_class(config: DictConfig) -> None:
    """Check the class that ``data._target_`` names; nothing is constructed. A function is left to `build_data`.

    Raises:
        UserError: it is not an `ImageDataModule`; the message names what is missing.
    """
    node = config.get("data")
    if isinstance(node, DictConfig) and "_target_" in node and inspect.isclass(found := target_of("data", node)):
        check_data_module(found, str(node["_target_"]))


def check_data_module(found: type[Any], target: str) -> None:
    """Check a class of data modules.

    Args:
        found: the class.
        target: the setting ``data._target_``.

    Raises:
        UserError: it is not an `ImageDataModule`; the message names what is missing.
    """
    from gat_lightning.data import ImageDataModule  # imports Lightning, which a setting out of its range need not

    if issubclass(found, ImageDataModule):
        return
    public = [name for name in vars(ImageDataModule) if not name.startswith("_")]
    missing = ", ".join(name for name in public if not hasattr(found, name))
    raise UserError(
        f"data._target_={target}: {found.__name__} is not a gat_lightning.data.ImageDataModule"
        f"{f' and lacks {missing}' if missing else ''}. Derive it from gat_lightning.data.ArrayDataModule and define"
        " describe() and load(), if the images fit into memory; otherwise from ImageDataModule, and define describe()"
        " and setup()."
    )
