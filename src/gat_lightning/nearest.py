"""Suggestions for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches

# Longer lists of names help nobody.
_LISTED = 16


def nearest(name: object, options: Iterable[str]) -> list[str]:
    """The option most like ``name``, at best in its case, in a list; an empty list where none is like it."""
    options = list(options)
    by_lower_case = {option.lower(): option for option in options}
    alike = get_close_matches(str(name).lower(), by_lower_case, n=1)
    return get_close_matches(str(name), options, n=1) or [by_lower_case[match] for match in alike]


def did_you_mean(options: Iterable[str], prefix: str = "", otherwise: str = "") -> str:
    """``; did you mean PREFIXa or PREFIXb?``, or ``otherwise`` where there are no options."""
    names = " or ".join(f"{prefix}{option}" for option in options)
    return f"; did you mean {names}?" if names else otherwise


def listed(label: str, options: Iterable[str]) -> str:
    """`` LABEL: a, b, c.`` where there are some and they are few, else nothing."""
    names = list(options)
    return f" {label}: {', '.join(names)}." if 0 < len(names) <= _LISTED else ""
