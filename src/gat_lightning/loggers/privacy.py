"""What of a run's settings may leave the machine: no place on its disks, no user's name, no secret.

Loggers send settings to servers that others can read. A path is cut to its last part, which says what was used but not
where it lies; a value that the environment holds under the name of a secret, or that stands under such a name in the
configuration or in an override of it, is hidden.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

HIDDEN = "<hidden>"
_LEFT_OUT = ("paths", "logger", "hydra")
_OVERRIDES = "pretraining"
_SECRET_SETTING = re.compile(r"(api|access|private)[-_]?key|token|secret|passw|credential", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)
_SHORTEST_SECRET = 8
_LOGIN = re.compile(r"(\w://)[^/@\s]+@")
_ROOT = r"(?:~\w*[/\\]|\.{0,2}[/\\]|[A-Za-z]:[/\\])"
_IS_PATH = re.compile(_ROOT)
_PATH_INSIDE = re.compile(rf"(?<![\w./\\~])(?!(?<=:)//(?!/)){_ROOT}[^\s,;:'\"()\[\]{{}}]+")
_SEPARATORS = re.compile(r"[/\\]")


def public_config(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain types, without paths and loggers, and scrubbed by :func:`public_text`."""
    kept = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    if "paths" in kept:
        kept.paths = dict.fromkeys(kept.paths, "")
    resolved = OmegaConf.to_container(kept, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): _public(str(key), value) for key, value in resolved.items() if key not in _LEFT_OUT}


def public_text(text: str) -> str:
    """The text with secrets of the environment hidden and paths cut to their last part."""
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    text = _LOGIN.sub(r"\1", text)
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    if _IS_PATH.match(text):
        return _last_part(text)
    text = _PATH_INSIDE.sub(lambda match: _last_part(match.group()), text)
    return _without_user(text) if _SEPARATORS.search(text) else text


def public_override(override: str) -> str:
    """An override of Hydra's, ``name=value``, with secrets hidden and scrubbed by :func:`public_text`."""
    return public_text(_without_secrets(override))


def _without_secrets(override: str) -> str:
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return HIDDEN if _SECRET_SETTING.search(override) else override
    value = parsed.value()
    shown = _public(parsed.key_or_group, value, str)
    return override if shown == value else f"{override.partition('=')[0]}={shown}"


def _public(key: str, value: Any, scrub: Callable[[str], str] = public_text) -> Any:
    if isinstance(value, dict):
        return {str(name): _public(str(name), item, scrub) for name, item in value.items()}
    if isinstance(value, list):
        return [_public(key, item, scrub) for item in value]
    if not isinstance(value, str):
        return value
    if value and _SECRET_SETTING.search(key):
        return HIDDEN
    return scrub(_without_secrets(value) if key == _OVERRIDES else value)


def _secrets() -> list[str]:
    """Secret values of environment variables, longest first."""
    values = {value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name)}
    return sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True)


def _last_part(path: str) -> str:
    part = next((part for part in reversed(_SEPARATORS.split(path)) if part not in ("", "~", ".", "..")), "")
    return "user" if part == _user() else part


def _without_user(text: str) -> str:
    """A relative path without the user's name as one of its parts."""
    user = re.escape(_user())
    return re.sub(rf"(?<![^/\\]){user}(?![^/\\])", "user", text) if user else text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):  # a container may have no name for its user
        return ""


_KEPT = ("epoch", "global_step", "pytorch-lightning_version", "state_dict", "tasks")


def write_shareable(checkpoint: Path, target: Path) -> None:
    """Write a copy of a checkpoint for evaluation and export, which cannot be resumed.

    The copy has no states of optimiser, loops and callbacks. Its configuration is that of
    :func:`~gat_lightning.loggers.privacy.public_config`, without paths, user names and secrets.

    Args:
        checkpoint: one of ours.
        target: path of the copy.
    """
    content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    origin = content["gat_lightning"]
    kept = {key: content[key] for key in _KEPT if key in content}
    kept["gat_lightning"] = {**origin, "config": public_config(OmegaConf.create(origin["config"]))}
    torch.save(kept, target)
