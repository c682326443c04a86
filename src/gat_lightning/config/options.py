"""Options of a group: their settings, and the name of the one that a node of the configuration was made from."""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.files import find_conf


def option_of(group: str, node: DictConfig) -> str:
    """The option of a group that a node is, such as ``madry_separate``.

    Of the options with its class it is the one with the most settings in common. A class that no option has is named
    itself.

    Args:
        group: folder in ``conf``.
        node: with a ``_target_``.
    """
    options = {name: given for name, given in options_of(group).items() if given.get("_target_") == node._target_}
    if not options:
        return str(node._target_).rpartition(".")[2]
    return max(options, key=lambda name: _alike(options[name], node))


def _alike(given: dict[str, Any], node: DictConfig) -> int:
    """Number of settings that are equal, less that of those that are not; what an option takes from others counts not.

    An interpolation is such a setting.
    """
    plain: Any = OmegaConf.to_container(node, resolve=True)
    fixed = {key: value for key, value in given.items() if not (isinstance(value, str) and "${" in value)}
    return sum(1 if plain.get(key) == value else -1 for key, value in fixed.items())


@cache
def options_of(group: str) -> dict[str, dict[str, Any]]:
    """Settings of each option of a group, by its name; interpolations are not resolved.

    Args:
        group: folder in ``conf``.
    """
    return {path.stem: _with_defaults(path) for path in sorted((find_conf() / group).glob("*.yaml"))}


def _with_defaults(path: Path) -> dict[str, Any]:
    """Settings of a file, on top of those of the options of its group that it names as its defaults."""
    own: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    bases = [base for base in own.pop("defaults", ()) if isinstance(base, str) and base != "_self_"]
    settings: dict[str, Any] = {}
    for base in bases:
        settings |= _with_defaults(path.with_name(f"{base}.yaml"))
    return settings | own
