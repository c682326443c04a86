"""Extra training images: pseudo-labelled ones or generated ones, from a file of them.

Adversarial training needs more images than ordinary training. Carmon et al. (2019) and Alayrac et al. (2019) take
unlabelled photographs with the labels of a standard classifier; Gowal et al. (2021) and Wang et al. (2023) samples of a
generative model.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gat_lightning.data.array_checks import check_label_dtype, checked_images
from gat_lightning.data.npz import npz_arrays
from gat_lightning.data.pickled import pickled_arrays
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo

_PICKLES = (".pickle", ".pkl")

KEYS = {".npz": ("image", "label"), **dict.fromkeys(_PICKLES, ("data", "extrapolated_targets"))}
"""Names of the images and of the labels in a file, by its suffix."""


def check_extra(path: Path) -> None:
    """Raise `UserError` unless the file's suffix is known. The file is not opened."""
    if path.suffix not in KEYS:
        raise UserError(
            f"data.extra={path}: it must be an .npz file with image and label, or a .pickle (.pkl) file with data and"
            " extrapolated_targets"
        )


def read_extra(path: Path, info: DataInfo) -> tuple[Tensor, Tensor]:
    """Read a file of extra images.

    - ``.npz`` with ``image`` and ``label``, as generated images are published. If the file is not compressed, the
      images are mapped into memory, so that they need not fit.
    - ``.pickle`` with ``data`` and ``extrapolated_targets``, as Carmon et al. published ``ti_500K_pseudo_labeled``.

    Images are uint8 ``[N, H, W, C]``, or ``[N, H, W]`` for grey levels; labels are integers ``[N]``. No code in the
    file is executed.

    Args:
        path: the file.
        info: description of the data set that the images are added to.

    Returns:
        Images uint8 ``[N, C, H, W]`` in the file's memory layout, and class indices ``[N]`` long.

    Raises:
        UserError: the file is missing, damaged or empty, or its content does not match the data set.
    """
    if not path.is_file():
        raise UserError(f"data.extra: there is no file {path.absolute()}")
    image, label = KEYS[path.suffix]
    arrays = pickled_arrays(path) if path.suffix in _PICKLES else npz_arrays(path, image, label)
    missing = [key for key in (image, label) if key not in arrays]
    if missing:
        found = ", ".join(arrays) or "none at all"
        raise UserError(f"{path} has no array {', '.join(missing)}; it has {found}. It must have {image} and {label}")
    images = checked_images(path, image, arrays[image], info, "data.extra")
    labels = _labels(path, label, arrays[label], info)
    if len(images) != len(labels):
        raise UserError(f"{path}: {len(images):,} images ({image}) but {len(labels):,} labels ({label})")
    return images, labels


def _labels(path: Path, key: str, array: NDArray[Any], info: DataInfo) -> Tensor:
    check_label_dtype(array, f"{path}: {key}")
    classes = len(info.labels["class"].classes)
    if len(array) and not 0 <= array.min() <= array.max() < classes:
        raise UserError(
            f"{path}: {key} goes from {array.min()} to {array.max()}; {info.name} has the classes 0 to {classes - 1}"
        )
    return torch.from_numpy(array.astype(np.int64))
