"""The images of an evaluation: ``images=N`` draws some, and ``images=first:N`` takes the first ones."""

import re

import torch
from torch import Tensor

from gat_lightning.data import ImageDataModule
from gat_lightning.data.drawing import draw_images
from gat_lightning.errors import SettingError

_FIRST = "first:"


def check_images(name: str, value: object) -> None:
    """Raise `SettingError` unless the value is None, a number of images, or ``first:`` and such a number."""
    first = isinstance(value, str) and re.fullmatch(rf"{_FIRST}0*[1-9]\d*", value)
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not (value is None or first or whole):
        raise SettingError(name, value, "a whole number of at least 1, or first:N for the first N images", also=(None,))


def chosen_images(images: int | str | None, data: ImageDataModule, split: str, target: str) -> Tensor | None:
    """Positions of the images to evaluate in a split, ascending; None for all.

    Args:
        images: a number of labelled images to draw, see :func:`~gat_lightning.data.drawing.draw_images`; ``first:N``
            for the first N of the split, with and without label; or None.
        data: after its setup.
        split: name of the split.
        target: name of the target's label.
    """
    if images is None:
        return None
    dataset = data.split(split)
    if isinstance(images, str):
        return torch.arange(min(int(images.removeprefix(_FIRST)), len(dataset)))
    return draw_images(dataset.labels[target], data.groups(split), images, data.info.name, split)
