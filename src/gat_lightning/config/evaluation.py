"""Settings that an evaluation takes from its checkpoint: the data set and the radius."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.files import plain
from gat_lightning.config.radii import Radius, by_norm
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import setting_of, typed_overrides
from gat_lightning.runs.evaluations import attacks_name
from gat_lightning.runs.hashing import configuration_hash

SPLIT_SETTINGS = (
    *("seed", "fraction", "val_fraction", "test_fraction", "split", "split_seed", "view", "per_patient", "classes"),
)
"""Settings of ``data`` that decide which images a split has."""

_DECISIVE = ("evaluation", "curve", "attack", "split", "images", "seed", "data", "engine", "paths")


def data_settings(config: DictConfig) -> DictConfig | None:
    """The settings of the data set to evaluate on: the checkpoint's, updated by those of ``data``.

    Where ``data`` names the checkpoint's own data set, at whatever path, :data:`SPLIT_SETTINGS` stay those of the
    training unless the command line sets them, since another split would validate on training images. In a program
    that calls Hydra's ``compose`` there is no command line, and none counts as set. Where ``data`` names another data
    set, nothing of the checkpoint's is used.

    Returns:
        None where neither the checkpoint nor ``data`` names a data set.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    chosen = config.get("data")
    own = {} if chosen is None else OmegaConf.to_container(chosen, resolve=True)
    assert isinstance(own, dict)
    if config.checkpoint is None or is_export(config):
        return OmegaConf.create(own) if own else None
    trained = _settings_of_training(config.checkpoint)["data"]
    if "_target_" not in own:
        return OmegaConf.create({**trained, **own})
    if own["_target_"] == trained.get("_target_"):
        changed = {setting_of(override) for override in typed_overrides()}
        own |= {name: trained[name] for name in SPLIT_SETTINGS if name in trained and f"data.{name}" not in changed}
    return OmegaConf.create(own)


def is_export(config: DictConfig) -> bool:
    """Whether ``checkpoint`` is an exported classifier, which holds no settings of a training."""
    from gat_lightning.formats.safetensors import Safetensors

    return Path(config.checkpoint).suffix == Safetensors.suffix


def evaluation_label(config: DictConfig) -> str:
    """The attacks, and a hash of all settings that decide the scores of a given checkpoint: ``pgd20-1a2b3c4d``.

    Evaluations of several checkpoints with the same settings have the same label.
    """
    settings = plain(config)
    decisive = OmegaConf.create({name: settings.get(name) for name in _DECISIVE})
    return f"{attacks_name(config)}-{configuration_hash(decisive)}"


def evaluation_eps(config: DictConfig) -> dict[str, Radius]:
    """The default radius of each norm: the data set's, else the one that the checkpoint was trained with.

    Returns:
        0 for every norm where the checkpoint cannot be read or there are no data, which is reported when they are
        loaded: OmegaConf would wrap an error raised here in a message about interpolations.
    """
    try:
        data = data_settings(config)
    except UserError:
        data = None
    if data is None:
        return {"Linf": 0.0, "L2": 0.0, "L1": 0.0}
    return {**_radius_of_training(config), **(by_norm(data.eps) if "eps" in data else {})}


def _radius_of_training(config: DictConfig) -> dict[str, Radius]:
    """The norm and the radius of the training attack, if the evaluation is on the training's data set."""
    if config.checkpoint is None or is_export(config):
        return {}
    trained = _settings_of_training(config.checkpoint)
    attack, chosen = trained.get("attack") or {}, config.get("data") or {}
    if chosen.get("_target_", trained["data"].get("_target_")) != trained["data"].get("_target_"):
        return {}
    return {attack["norm"]: attack["eps"]} if {"norm", "eps"} <= set(attack) else {}


def _settings_of_training(checkpoint: str) -> dict[str, Any]:
    """The training's settings in a checkpoint, which is read once, however many settings are taken from it."""
    path = Path(checkpoint)
    return _read_settings(checkpoint, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=1)
def _read_settings(checkpoint: str, modified: int) -> dict[str, Any]:
    from gat_lightning.config.checkpoint import load_settings  # imports Lightning, which other commands' help needs not

    return load_settings(checkpoint)
