"""Checks of the images and labels in a file of arrays; each message says what to save instead."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo

_SAMPLE = 1000
"""Most images whose range is checked: an array may be mapped from a file that is larger than the memory."""

_LARGEST_LABEL = int(np.iinfo(np.int64).max)


def check_image_dtype(array: NDArray[Any], where: str) -> None:
    """Raise `UserError` unless the images are uint8. The message depends on the range of the values.

    Args:
        array: the images, of any shape.
        where: file and name of the array.
    """
    if array.dtype != np.uint8:
        raise UserError(f"{where} has dtype {array.dtype}, it must be uint8. {_to_uint8(array)}")


def check_image_range(array: NDArray[Any], where: str) -> None:
    """Raise `UserError` if uint8 images contain no value above 1: they are divided by 255.

    Args:
        array: the images, uint8 ``[N, ...]``, not empty; at most 1,000 of them, evenly spaced, are checked.
        where: file and name of the array.
    """
    largest = array[:: -(-len(array) // _SAMPLE)].max()
    if largest == 0:
        raise UserError(f"{where} has only the value 0: all its images are black")
    if largest == 1:
        raise UserError(f"{where} has no values but 0 and 1; grey levels go from 0 to 255: save array * 255")


def check_label_dtype(array: NDArray[Any], where: str) -> None:
    """Raise `UserError` unless the labels are integers ``[N]`` that int64 can represent.

    Args:
        array: the labels.
        where: file and name of the array.
    """
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise UserError(
            f"{where} has dtype {array.dtype} and shape {list(array.shape)}; it must be integers [N], one class index"
            f" per image{_to_indices(array)}"
        )
    if len(array) and int(array.max()) > _LARGEST_LABEL:
        raise UserError(
            f"{where} goes up to {array.max()}, as negative numbers do when they are saved as {array.dtype}; classes"
            " are numbered from 0 to K-1"
        )


def checked_images(path: Path, key: str, array: NDArray[Any], info: DataInfo, setting: str) -> Tensor:
    """Images of an array uint8 ``[N, H, W, C]``, or ``[N, H, W]`` for grey levels, as ``[N, C, H, W]``.

    Args:
        path: the file that the array is from.
        key: its name there.
        array: of images.
        info: description of the data set that the images are added to.
        setting: that names the file.

    Raises:
        UserError: the images do not match the data set, or there are none.
    """
    channels, height, width = info.image
    check_image_dtype(array, f"{path}: {key}")
    if array.ndim == 3:
        array = array[..., None]
    if array.shape[1:] != (height, width, channels):
        raise UserError(
            f"{path}: {key} has shape {list(array.shape)}; the images of {info.name} need"
            f" [N, {height}, {width}, {channels}]"
        )
    if not len(array):
        raise UserError(f"{path} holds no images; set {setting}=null to train without them")
    check_image_range(array, f"{path}: {key}")
    return _as_tensor(array).permute(0, 3, 1, 2)


def _to_uint8(array: NDArray[Any]) -> str:
    if array.dtype.kind == "b":
        return "Save array.astype(np.uint8) * 255"
    if array.dtype.kind not in "fiu" or not array.size:
        return "Save grey levels from 0 to 255 as array.astype(np.uint8)"
    least, largest = array.min(), array.max()
    if not np.isfinite([least, largest]).all():
        return "Some values are not finite: remove these images or replace the values first"
    whole = array.dtype.kind != "f"
    found = f"The values lie in [{least}, {largest}]" if whole else f"The values lie in [{least:.4g}, {largest:.4g}]"
    if least < 0:
        return f"{found}: {_from_signed(array)}"
    if largest <= 1:
        return f"{found}: save {'array.astype(np.uint8) * 255' if whole else 'np.rint(array * 255).astype(np.uint8)'}"
    if largest <= 255:
        return f"{found}: save {'array' if whole else 'np.rint(array)'}.astype(np.uint8)"
    full = 2 ** int(np.ceil(np.log2(float(largest) + 1))) - 1
    return (
        f"{found}: save np.rint(array * (255 / {full})).astype(np.uint8), with the largest value that they can have in"
        f" place of {full}"
    )


def _from_signed(array: NDArray[Any]) -> str:
    if array.dtype == np.int8:
        return (
            "save (array.astype(np.int16) + 128).astype(np.uint8) if they are grey levels minus 128, or"
            " array.view(np.uint8) if levels above 127 have become negative"
        )
    if array.dtype.kind == "f" and array.min() >= -1 and array.max() <= 1:
        return "save np.rint((array + 1) * 127.5).astype(np.uint8) if 0 is medium grey"
    return "scale them to 0 to 255 first, by the least and the largest value that they can have"


def _to_indices(array: NDArray[Any]) -> str:
    if array.ndim == 2 and array.shape[1] == 1:
        return ": save array[:, 0]"
    if array.ndim == 2 and array.dtype.kind in "biuf" and array.size and (array.sum(1) == 1).all() and array.min() >= 0:
        return ": save array.argmax(1)"
    if array.ndim == 1 and (array.dtype.kind == "b" or (array.dtype.kind == "f" and (array == np.rint(array)).all())):
        return ": save array.astype(np.int64)"
    return ""


def _as_tensor(array: NDArray[Any]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nobody writes
        return torch.from_numpy(array)
