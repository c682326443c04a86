"""Training images without the target's label, beside the labelled ones: ``data.unlabeled``.

``own`` are those that the data set has, ``rest`` the training images that ``data.fraction`` leaves out; others come
from a file or a folder. They may have other labels. None of them is a validation or a test image.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from gat_lightning.batch import missing_labels
from gat_lightning.data.array_checks import checked_images
from gat_lightning.data.contrast import SAMPLE as RANGE_SAMPLE
from gat_lightning.data.contrast import check_ranges, warn_of_low_contrast
from gat_lightning.data.dataset import ArrayDataset, FileDataset, JoinedDataset, SplitDataset
from gat_lightning.data.duplicates import refuse_held_out, warn_of_held_out
from gat_lightning.data.listing import is_picture, list_files, shorten
from gat_lightning.data.memory import available_memory
from gat_lightning.data.npz import npz_arrays
from gat_lightning.data.pictures import decode_pictures
from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import DataInfo
from gat_lightning.randomness import generator_for

log = logging.getLogger(__name__)

OWN, REST = "own", "rest"
"""Images without labels that the data set has, and training images that ``data.fraction`` leaves out."""

KEYS = ("image", "train_images")
"""Names of the array of images in a file, of which the first that it has is taken."""

# A folder takes at most this part of the free memory; the pictures of a larger one are decoded for each batch.
_SHARE = 0.25

# More pictures than this are read with a progress bar.
_LONG = 2000

Source = str | Path | None


def unlabeled_source(value: str | os.PathLike[str] | bool | None) -> Source:
    """What ``data.unlabeled`` means: ``own``, ``rest``, a file or a folder; None for none, as ``false`` says too.

    Raises:
        SettingError: it is none of these. That the file or folder is there is checked when it is read.
    """
    if value is None or value is False:
        return None
    if value in (OWN, REST):
        return str(value)
    if not isinstance(value, (str, os.PathLike)) or value == "":
        right = "own, rest, an .npz file or a folder of pictures; true is for STL-10"
        raise SettingError("unlabeled", value, right, also=(None,))
    return Path(value).expanduser()


def read_unlabeled(source: Path, info: DataInfo, progress: bool = False) -> SplitDataset:
    """Images of an ``.npz`` file or of a folder.

    A file has the images as those of ``data.extra``, under ``image`` or ``train_images``; its other arrays are not
    read. A folder's pictures, with those of its sub-folders, are resized and cropped to the size of the data set's
    images (see :func:`~gat_lightning.data.pictures.decode_picture`). They are kept in memory if they take at most a
    quarter of what is free, and otherwise decoded for each batch.

    Args:
        source: the file or folder.
        info: description of the data set that the images are added to.
        progress: whether to show progress while pictures are decoded.

    Returns:
        The images, without labels, on the CPU.

    Raises:
        UserError: it is missing, empty or damaged, or its images are of another size or number of channels.
    """
    if source.is_dir():
        return _of_folder(source, info, progress)
    if not source.is_file():
        raise UserError(f"data.unlabeled: there is no file or folder {source.absolute()}")
    if source.suffix != ".npz":
        raise UserError(f"data.unlabeled={source}: it must be an .npz file with images under {KEYS[0]}, or a folder")
    arrays = npz_arrays(source, *KEYS)
    key = next((key for key in KEYS if key in arrays), None)
    if key is None:
        found = ", ".join(arrays) or "none at all"
        raise UserError(f"{source} has no array {' or '.join(KEYS)}; it has {found}")
    images = checked_images(source, key, arrays[key], info, "data.unlabeled")
    return ArrayDataset(images, {}, torch.arange(len(images)))


def with_unlabeled(
    train: SplitDataset,
    images: SplitDataset,
    held_out: Mapping[str, SplitDataset],
    target: str,
    source: str | Path,
) -> JoinedDataset:
    """The training split followed by images whose target's label is missing, and ``class`` with ``macro``.

    Args:
        train: labelled training images.
        images: further ones, with any labels.
        held_out: the validation and the test images, by the names of their splits.
        target: label of the target task.
        source: value of ``data.unlabeled``.

    Raises:
        UserError: there are no further images, or some are held out; those of ``rest``, which are the data set's own
            duplicates, are warned of.
    """
    if not len(images):
        raise UserError(f"data.unlabeled={source}: there are no such images")
    with_held_out = warn_of_held_out if source == REST else refuse_held_out
    with_held_out(images, held_out, f"data.unlabeled={source}")
    known = {name: label for name, label in images.labels.items() if name not in hidden_labels(target)}
    labels = {name: known.get(name, missing_labels(label, len(images))) for name, label in train.labels.items()}
    return JoinedDataset(train, images, labels)


def hidden_labels(target: str) -> set[str]:
    """Names of the labels that no image of ``data.unlabeled`` has: the target's, and ``class`` with ``macro``."""
    return {"class", "macro"} if target in ("class", "macro") else {target}


def _of_folder(folder: Path, info: DataInfo, progress: bool) -> SplitDataset:
    paths = sorted(path for path in list_files(str(folder)) if is_picture(path))
    if not paths:
        raise UserError(f"data.unlabeled: the folder {folder.absolute()} has no pictures")
    channels, height, width = info.image
    if channels not in (1, 3):
        raise UserError(
            f"data.unlabeled={folder}: pictures have 1 or 3 channels, and the images of {info.name} {channels}:"
            " use an .npz file"
        )
    where = f"data.unlabeled={folder}"
    order = torch.randperm(len(paths), generator=generator_for("unlabeled", "ranges"))
    check_ranges([paths[row] for row in order[:RANGE_SAMPLE].tolist()], where)
    rows = torch.arange(len(paths))
    available = available_memory()
    if available is not None and len(paths) * channels * height * width > _SHARE * available:
        log.info("data.unlabeled: %s pictures are decoded for each batch, as memory is too small", f"{len(paths):,}")
        return FileDataset(paths, (height, width), channels, {}, rows, skip=True)
    images, unreadable = decode_pictures(paths, (height, width), channels, progress and len(paths) > _LONG)
    if len(unreadable) == len(paths):
        raise UserError(f"data.unlabeled: none of the {len(paths):,} pictures in {folder.absolute()} can be read")
    if unreadable:
        named = [f"{os.path.relpath(paths[row], folder)!r} ({reason})" for row, reason in sorted(unreadable.items())]
        log.warning("data.unlabeled: left out, as they cannot be read: %s", shorten(named))
    readable = torch.ones(len(paths), dtype=torch.bool)
    readable[list(unreadable)] = False
    rows = rows[readable]
    warn_of_low_contrast(images[rows[:: max(1, len(rows) // RANGE_SAMPLE)]], where)
    return ArrayDataset(images, {}, rows, paths)
