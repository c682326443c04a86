"""Labels of a W&B run: its tags, its group and the options that were chosen, without private settings."""

import hashlib

from hydra.core.hydra_config import HydraConfig

from gat_lightning.loggers.privacy import HIDDEN, public_override
from gat_lightning.runs.directory import is_of_the_run, setting_of, typed_overrides

_LONGEST_TAG, _LONGEST_GROUP = 64, 128


def choices() -> dict[str, str]:
    """The option chosen in each group, such as ``{"weighting": "mgda_floor", "task": "macro+rotation"}``."""
    if not HydraConfig.initialized():
        return {}
    chosen = HydraConfig.get().runtime.choices.items()
    return {name: option for name, option in chosen if option and "/" not in name and "@" not in name}


def tags() -> list[str]:
    """The options of all groups and the other overrides, as ``name=value``, if Hydra started the run."""
    words = [f"{name}={option}" for name, option in choices().items() if is_of_the_run(name)] + _overrides()
    return [tag for tag in dict.fromkeys(map(public_override, words)) if len(tag) <= _LONGEST_TAG]


def group() -> str | None:
    """The overrides without the seed, so that the runs of one setting are grouped, if Hydra started the run.

    A hash stands for what is too long or hidden, so that different settings never share a group.
    """
    if not HydraConfig.initialized():
        return None
    parts = sorted(override for override in _overrides() if setting_of(override) != "seed")
    text = " ".join(map(public_override, parts)) or "defaults"
    if len(text) <= _LONGEST_GROUP and HIDDEN not in text:
        return text
    return f"{text[: _LONGEST_GROUP - 9]} {hashlib.sha256(' '.join(parts).encode()).hexdigest()[:8]}"


def _overrides() -> list[str]:
    return [override for override in typed_overrides() if is_of_the_run(setting_of(override))]
