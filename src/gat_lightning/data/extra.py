"""Extra training images: pseudo-labelled ones or generated ones, from a file of them.

Adversarial training needs more images than ordinary training. Carmon et al. (2019) and Alayrac et al. (2019) take
unlabelled photographs with the labels of a standard classifier; Gowal et al. (2021) and Wang et al. (2023) samples of a
generative model.
"""

import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gat_lightning.data.array_checks import check_image_dtype, check_image_range, check_label_dtype
from gat_lightning.data.npz import HEADERS, check_member
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
    images, labels = (
        check_images(path, image, arrays[image], info, "data.extra"),
        _labels(path, label, arrays[label], info),
    )
    if len(images) != len(labels):
        raise UserError(f"{path}: {len(images):,} images ({image}) but {len(labels):,} labels ({label})")
    return images, labels


def check_images(path: Path, key: str, array: NDArray[Any], info: DataInfo, setting: str) -> Tensor:
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


def _labels(path: Path, key: str, array: NDArray[Any], info: DataInfo) -> Tensor:
    check_label_dtype(array, f"{path}: {key}")
    classes = len(info.labels["class"].classes)
    if len(array) and not 0 <= array.min() <= array.max() < classes:
        raise UserError(
            f"{path}: {key} goes from {array.min()} to {array.max()}; {info.name} has the classes 0 to {classes - 1}"
        )
    return torch.from_numpy(array.astype(np.int64))


def _as_tensor(array: NDArray[Any]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nobody writes
        return torch.from_numpy(array)


def npz_arrays(path: Path, *keys: str) -> dict[str, NDArray[Any]]:
    """Arrays of a file by name: those of ``keys``, mapped into memory where that can be, and nothing of others.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
            return {
                key: _array_of(path, archive.getinfo(f"{key}.npy"), file) if key in keys else np.empty(0)
                for key in file.files
            }
    except (MemoryError, UserError):
        raise
    except Exception as error:  # NumPy lets through whatever a damaged file provokes in zipfile, zlib or tokenize
        reason = str(error).split(". ")[0]  # what NumPy says after it is how to load the file unsafely
        raise UserError(f"{path} cannot be read (damaged, or not an .npz of plain arrays): {reason}") from error


def _array_of(path: Path, member: zipfile.ZipInfo, file: Any) -> NDArray[Any]:
    """Map the array from the file if it is stored uncompressed; otherwise read it."""
    if member.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as raw:
            raw.seek(member.header_offset + 26)  # a zip entry's fixed header ends with the lengths of name and extra
            raw.seek(sum(struct.unpack("<HH", raw.read(4))), 1)
            read_header = HEADERS.get(np.lib.format.read_magic(raw))
            if read_header is not None:
                shape, by_columns, dtype = read_header(raw)
                if not dtype.hasobject and 0 not in shape:
                    # Copy on write: torch takes no read-only array without a warning, and nobody writes.
                    return np.memmap(path, dtype, "c", raw.tell(), shape, "F" if by_columns else "C")
    check_member(file.zip, member.filename.removesuffix(".npy"))
    array: NDArray[Any] = file[member.filename]
    return array
