"""Packages that the machine lacks; nothing else is imported here."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

PACKAGE = "gat-lightning"


def lacking() -> list[str]:
    """Names of the packages that this project requires and that are not installed."""
    try:
        required = requires(PACKAGE) or []
    except PackageNotFoundError:
        return [PACKAGE]
    names = [re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in required if "extra ==" not in each]
    return [name for name in names if not _installed(name)]


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
