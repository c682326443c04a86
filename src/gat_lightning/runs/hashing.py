"""Hash of the settings of a run, which names its directory."""

import hashlib
import json
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gat_lightning.runs.settings_history import identity

NOT_PART_OF_THE_RUN = ("hydra", "debug", "logger", "resume", "skip_finished", "optimized_metric", "runs", "jobs")
"""Settings that say where, when and how a run is made and its record is kept."""


def configuration_hash(config: DictConfig) -> str:
    """Eight hexadecimal digits of the resolved configuration without its paths, the same in every version.

    Settings enter the hash as they were first spelled, see :mod:`gat_lightning.runs.settings_history`.
    """
    return settings_hash(hashed_settings(config))


def hashed_settings(config: DictConfig) -> dict[str, Any]:
    """The resolved settings that tell a run from others."""
    kept = OmegaConf.masked_copy(config, [str(key) for key in config if key not in NOT_PART_OF_THE_RUN])
    kept.paths = dict.fromkeys(kept.paths, "")
    resolved: Any = OmegaConf.to_container(kept, resolve=True)
    assert isinstance(resolved, dict)
    return resolved


def settings_hash(settings: dict[str, Any]) -> str:
    """Eight hexadecimal digits of plain settings."""
    text = json.dumps(identity(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
