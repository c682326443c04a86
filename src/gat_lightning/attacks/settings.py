"""Checks of settings that are names or counts."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from gat_lightning.errors import UserError


def one_of(name: str, value: str, options: Sequence[str]) -> str:
    """``value`` if it is among ``options``.

    Raises:
        UserError: it is not; the message names the nearest option and all of them.
    """
    if value in options:
        return value
    by_lower_case = {option.lower(): option for option in options}
    nearest = by_lower_case[get_close_matches(str(value).lower(), by_lower_case, n=1, cutoff=0.0)[0]]
    raise UserError(f"attack.{name}={value!r} is unknown; did you mean {nearest!r}? Known: {', '.join(options)}")


def at_least_one(name: str, value: int) -> int:
    """``value`` if it is a whole number above 0.

    Raises:
        UserError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"attack.{name}={value!r} must be a whole number, 1 or more")
    return value
