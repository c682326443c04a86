"""Checks of a data set's settings, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence

from gat_lightning.errors import UserError
from gat_lightning.info import NO_TARGET, DataInfo
from gat_lightning.nearest import did_you_mean, nearest


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_batch_size(batch_size: int) -> None:
    """Raise `UserError` unless a joined batch has at least two images (BatchNorm needs two)."""
    if not _is_integer(batch_size) or batch_size < 2:
        raise UserError(f"data.batch_size={batch_size!r}: it must be a whole number of at least 2")


def check_workers(workers: int) -> None:
    """Raise `UserError` unless ``workers`` is a count of processes, 0 included."""
    if not _is_integer(workers) or workers < 0:
        raise UserError(f"data.workers={workers!r}: it must be 0 (load in the main process) or a number of processes")


def check_fractions(fraction: float, val_fraction: float) -> None:
    """Raise `UserError` unless ``fraction`` is in (0, 1] and ``val_fraction`` in (0, 1)."""
    for name, value in (("fraction", fraction), ("val_fraction", val_fraction)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UserError(f"data.{name}={value!r}: it must be a number")
    if not 0 < fraction <= 1:
        raise UserError(f"data.fraction={fraction!r}: it must be above 0 and at most 1 (1 uses all training images)")
    if not 0 < val_fraction < 1:
        raise UserError(f"data.val_fraction={val_fraction!r}: it must be above 0 and below 1, such as 0.1")


def check_fraction(name: str, value: float) -> None:
    """Raise `UserError` unless the setting ``data.name`` is in (0, 1)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise UserError(f"data.{name}={value!r}: it must be above 0 and below 1, such as 0.2")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise `UserError` unless the setting ``data.name`` is one of the choices."""
    if value not in choices:
        raise UserError(f"data.{name}={value!r}: it must be one of: {', '.join(choices)}")


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """Of the setting ``data.size``.

    Raises:
        UserError: it is neither a number of pixels nor two of them.
    """
    sides = list(size) if isinstance(size, Sequence) else [size, size]
    if len(sides) != 2 or not all(_is_integer(side) and side > 0 for side in sides):
        raise UserError(f"data.size={size!r}: it must be a number of pixels, such as 64, or [height, width]")
    return sides[0], sides[1]


def check_target(target: str, info: DataInfo) -> None:
    """Raise `UserError` unless the data have a label named ``target`` or it is ``none``; names the nearest one."""
    if target in info.labels or target == NO_TARGET:
        return
    guess = did_you_mean(nearest(target, info.labels))
    raise UserError(f"data.target={target!r}: {info.name} has no such label, only {', '.join(info.labels)}{guess}")
