"""Paths inside a run, kept relative to its directory so that the run can be moved or copied."""

import os
from pathlib import Path
from typing import Any


def relative_to_run(value: Any, directory: str | Path) -> Any:
    """A copy of settings or states in which paths inside the run are relative to its directory; that itself is ``.``.

    Args:
        value: of plain types, nested at will.
        directory: the run directory, as the paths begin with it.
    """
    return rebased(value, directory, ".")


def rebased(value: Any, before: str | Path, now: str | Path) -> Any:
    """A copy of settings or states with another folder in place of the one that paths in it begin with.

    Args:
        value: of plain types, nested at will; keys of mappings may be paths too.
        before: the folder to replace. If it is relative, ``value`` may be a name that is spelled alike, and is left
            alone; paths below it are not.
        now: the folder to put there.
    """
    if isinstance(value, dict):
        return {rebased(key, before, now): rebased(item, before, now) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(rebased(item, before, now) for item in value)
    if isinstance(value, str) and (value.startswith(f"{before}{os.sep}") or _is_the_folder(value, before)):
        return str(Path(now, value.removeprefix(str(before)).lstrip(os.sep)))
    return value


def _is_the_folder(value: str, before: str | Path) -> bool:
    return value == str(before) and Path(before).is_absolute()
