"""Checks of arguments: each returns the value, or raises a `SettingError` that says what would be right.

``also`` lists single values that are accepted as well, such as None. A bool is not a number here.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

from gat_lightning.errors import SettingError
from gat_lightning.nearest import did_you_mean, nearest

T = TypeVar("T")

Closed = Literal["both", "left", "right", "neither"]
"""Which ends belong to an interval."""


def check_int(name: str, value: T, low: int = 1, high: float = math.inf, *, also: tuple[object, ...] = ()) -> T:
    """A whole number from ``low`` to ``high``, both included.

    Raises:
        SettingError: it is not.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if _among(value, also) or (whole and low <= value <= high):  # type: ignore[operator]
        return value
    most = f" and at most {high}" if high < math.inf else ""
    raise SettingError(name, value, f"a whole number of at least {low}{most}", also)


def check_real(
    name: str,
    value: T,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    closed: Closed = "both",
    example: object = None,
    also: tuple[object, ...] = (),
) -> T:
    """A finite number in an interval.

    Args:
        name: of the argument.
        value: what was given for it.
        low: lower end.
        high: upper end.
        closed: which ends belong to the interval.
        example: a usual value, for the message.
        also: single values that are accepted as well.

    Raises:
        SettingError: it is not.
    """
    if _among(value, also) or (is_real(value) and _inside(value, low, high, closed)):
        return value
    raise SettingError(name, value, _real_in(low, high, closed, example), also)


def check_option(name: str, value: T, options: Iterable[str], *, also: tuple[object, ...] = ()) -> T:
    """One of several names.

    Raises:
        SettingError: it is not; the message suggests the nearest name.
    """
    names = list(options)
    if _among(value, (*also, *names)):
        return value
    raise SettingError(name, value, f"one of: {', '.join(names)}{did_you_mean(nearest(value, names))}", also)


def check_bool(name: str, value: T, *, also: tuple[object, ...] = ()) -> T:
    """True or False.

    Raises:
        SettingError: it is neither.
    """
    if isinstance(value, bool) or _among(value, also):
        return value
    raise SettingError(name, value, "true or false", also)


def check_normalization(mean: Iterable[float] | None, std: Iterable[float] | None) -> None:
    """Mean and standard deviation per channel of pixels in [0, 1]; both or neither.

    Raises:
        SettingError: one is missing, they differ in length, or they are not of pixels in [0, 1], such as those of
            pixels in 0..255.
    """
    if mean is None and std is None:
        return
    if mean is None or std is None:
        raise SettingError("mean" if mean is None else "std", None, "set too, since mean and std go together")
    scale = "; divide those of pixels in 0..255 by 255"
    means, deviations = _numbers("mean", mean), _numbers("std", std)
    if not all(0 <= value <= 1 for value in means):
        raise SettingError("mean", means, f"of pixels in [0, 1], so from 0 to 1{scale}")
    if not all(0 < value <= 1 for value in deviations):
        raise SettingError("std", deviations, f"of pixels in [0, 1], so above 0 and at most 1{scale}")
    if len(means) != len(deviations):
        raise SettingError("std", deviations, f"one number per channel, as mean={means} is")


def is_real(value: object) -> bool:
    """Whether a value is a finite number, and not a bool."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _inside(value: Any, low: float, high: float, closed: Closed) -> bool:
    above = value >= low if closed in ("both", "left") else value > low
    below = value <= high if closed in ("both", "right") else value < high
    return above and below


def _real_in(low: float, high: float, closed: Closed, example: object) -> str:
    ends = []
    if low > -math.inf:
        ends.append(f"of at least {low:g}" if closed in ("both", "left") else f"above {low:g}")
    if high < math.inf:
        ends.append(f"at most {high:g}" if closed in ("both", "right") else f"below {high:g}")
    such = "" if example is None else f", such as {example}"
    return " ".join(["a number", " and ".join(ends)]).rstrip() + such


def _numbers(name: str, values: object) -> list[float]:
    try:
        return [float(value) for value in values]  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise SettingError(name, values, "a list of numbers, one per channel") from error


def _among(value: object, others: tuple[object, ...]) -> bool:
    return any(type(value) is type(other) and value == other for other in others)
