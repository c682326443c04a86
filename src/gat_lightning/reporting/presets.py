"""Presets: the options of ``conf/engine``, each of which gives several settings together."""

import json
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from gat_lightning.config.files import find_conf

_GROUP, _DEFAULT = "engine", "exact"
_NODES = (_GROUP, "trainer")
"""Nodes with the settings of a preset: ``trainer`` follows ``engine``, and is the first spelling of some."""


def with_presets(settings: dict[str, Any]) -> dict[str, Any]:
    """Flat settings of a training, in which the name of a preset (``engine=fast``) replaces the settings that it gives.

    Settings that a run does not have are those of the default preset. Where they are no preset's, all stay as they are.
    """
    presets = _presets()
    keys = {f"{node}.{key}": key for node in _NODES for key in presets[_DEFAULT]}
    found = presets[_DEFAULT] | {key: settings[name] for name, key in keys.items() if name in settings}
    for preset, given in presets.items():
        if found == given:
            return {name: value for name, value in settings.items() if name not in keys} | {_GROUP: preset}
    return settings


@cache
def _presets() -> dict[str, dict[str, str]]:
    """Settings of each preset, as :class:`~gat_lightning.reporting.records.Record` has them."""
    options: dict[str, Any] = {path.stem: OmegaConf.load(path) for path in (find_conf() / _GROUP).glob("*.yaml")}
    return {name: {key: json.dumps(value) for key, value in given.items()} for name, given in options.items()}
