"""Text for people: on the terminal, and in the ``gat.log`` of a run."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from gat_lightning.runs.layout import RunDirectory

WIDTH = 100
"""Columns of a line at most, unless a single word is longer."""

_INDENT = "  "


def tell(directory: RunDirectory, text: str) -> None:
    """Print a text, and append it to the log of a run."""
    print(text, flush=True)
    directory.path.mkdir(parents=True, exist_ok=True)
    with directory.log.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def shown(path: Path) -> Path:
    """A path as people type it: relative to the current folder where it is inside."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path


def listed(title: str, facts: Mapping[str, str]) -> str:
    """A title and a line for each fact; long ones are wrapped."""
    column = max(map(len, facts), default=0) + 2
    lines = [_wrapped(text, f"{_INDENT}{name:{column}}") for name, text in facts.items()]
    return "\n".join([title, *lines])


def itemized(title: str, texts: Sequence[str]) -> str:
    """A title and an item for each text; long ones are wrapped."""
    return "\n".join([title, *(_wrapped(text, f"{_INDENT}- ") for text in texts)])


def fitted(start: str, parts: Sequence[str]) -> str:
    """A line of as many parts as fit behind its start, and the number of those that do not."""
    for kept in range(len(parts), 0, -1):
        more = [f"+{len(parts) - kept} more"] if kept < len(parts) else []
        line = _INDENT.join([start, *parts[:kept], *more])
        if len(line) <= WIDTH:
            return line
    return start


def time_unit(seconds: float) -> tuple[str, int]:
    """The unit for times up to this one, and its length in seconds."""
    return next(((unit, length) for unit, length in (("h", 3600), ("min", 60)) if seconds >= length), ("s", 1))


def duration(seconds: float) -> str:
    """``4.5 s``, ``45 s``, ``3.2 min``, ``1.5 h`` or ``1,234 h``."""
    unit, length = time_unit(seconds)
    value = seconds / length
    return f"{value:,.{0 if value >= (10 if unit == 's' else 100) else 1}f} {unit}"


def _wrapped(text: str, start: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
