"""The settings of a command with their descriptions, for ``--help``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.documented import read_option, written
from gat_lightning.config.files import find_conf
from gat_lightning.runs.telling import WIDTH


def explained_settings(config: DictConfig) -> str:
    """The composed settings as YAML, below the comments of their files; an equal comment is shown once.

    Args:
        config: with the node ``hydra``, which is left out.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return "\n".join(_lines({key: plain[key] for key in plain if key != "hydra"}, _meanings(config), "", set()))


def _lines(node: Mapping[str, Any], meanings: Mapping[str, str], parent: str, told: set[str]) -> Iterator[str]:
    indent = "  " * len(parent.split(".")) if parent else ""
    for key, value in node.items():
        path = f"{parent}.{key}".lstrip(".")
        meaning = meanings.get(path)
        if meaning not in (None, meanings.get(parent)) and f"{key}: {meaning}" not in told:
            told.add(f"{key}: {meaning}")
            start = f"{indent}# "
            yield from wrap(meaning, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, meanings, path, told)
        else:
            yield f"{indent}{key}: {written(value)}"


def _meanings(config: DictConfig) -> dict[str, str]:
    """The comments above settings, by path: those of the command's file, then those of the chosen options."""
    found: dict[str, str] = {}
    _add(found, find_conf() / f"{config.hydra.job.config_name}.yaml", "")
    for key, options in config.hydra.runtime.choices.items():
        group, _, package = str(key).partition("@")
        for option in str(options).split("+"):
            _add(found, find_conf() / group / f"{option}.yaml", package or group.replace("/", "."))
    return found


def _add(found: dict[str, str], path: Path, package: str) -> None:
    """Add the comments of a file, and of those of its group that it begins with; earlier ones stay."""
    if not path.is_file():
        return
    option = read_option(path, package)
    for setting in option.settings:
        if setting.meaning:
            found.setdefault(setting.path, setting.meaning)
    for base in option.choices:
        if "=" not in base:
            _add(found, path.with_name(f"{base}.yaml"), package)
