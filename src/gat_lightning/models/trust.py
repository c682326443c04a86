"""Allow-list of ``_target_``s in untrusted files."""

import inspect
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from torch import nn

_OURS = "gat_lightning"
# Packages whose functions make objects, and do nothing else.
_HARMLESS = tuple(f"{_OURS}.{package}" for package in ("data", "models", "tasks"))


def check_trusted(settings: Any, source: object) -> None:
    """See that settings from a file name nothing to be called but parts of models, tasks and data.

    Trusted are what ``gat_lightning.models``, ``.tasks`` and ``.data`` define, every class of ``nn.Module``, and your
    own code, outside Python's and the installed packages' folders.

    Args:
        settings: plain types, interpolations resolved.
        source: what messages call the file.

    Raises:
        ValueError: a ``_target_`` is none of these.
    """
    for name in _targets(settings):
        if not _is_trusted(name):
            raise ValueError(
                f"'{source}' names '{name}' to be called, which is no part of gat_lightning's models, tasks and data,"
                " no nn.Module class and not in a file of your own: nothing of it was run."
            )


def _targets(settings: Any) -> Iterator[str]:
    if isinstance(settings, dict):
        if "_target_" in settings:
            yield str(settings["_target_"])
        settings = list(settings.values())
    if isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _targets(value)
    elif isinstance(settings, str) and "${" in settings:  # would be resolved again, into whatever
        yield settings


def _is_trusted(name: str) -> bool:
    if name.partition(".")[0] in sys.stdlib_module_names:
        return False
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    module = str(getattr(found, "__module__", None) or "")
    if module.partition(".")[0] == _OURS:
        return module in _HARMLESS or module.startswith(tuple(f"{package}." for package in _HARMLESS))
    return (inspect.isclass(found) and issubclass(found, nn.Module)) or _is_own(module)


def _is_own(module: str) -> bool:
    """Whether a module lies outside Python's and the installed packages' folders."""
    spec = find_spec(module.partition(".")[0]) if module else None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return False
    folders = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return not any(folder in Path(spec.origin).parents for folder in folders)
