"""Checks of a data set's arguments, before anything is read."""

from collections.abc import Sequence

from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import NO_TARGET, DataInfo
from gat_lightning.nearest import did_you_mean, nearest


def check_channels(channels: int) -> int:
    """Raise `SettingError` unless pictures are grey or in colour."""
    if isinstance(channels, bool) or channels not in (1, 3):
        raise SettingError("channels", channels, "1 (grey levels) or 3 (colour)")
    return channels


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """Of the argument ``size``.

    Raises:
        SettingError: it is neither a number of pixels nor two of them.
    """
    sides = list(size) if isinstance(size, Sequence) else [size, size]
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise SettingError("size", size, "a number of pixels, such as 64, or [height, width]")
    return sides[0], sides[1]


def check_target(target: str, info: DataInfo) -> None:
    """Raise `UserError` unless the data have a label named ``target`` or it is ``none``; names the nearest one."""
    if target in info.labels or target == NO_TARGET:
        return
    guess = did_you_mean(nearest(target, info.labels))
    raise UserError(f"data.target={target!r}: {info.name} has no such label, only {', '.join(info.labels)}{guess}")
