"""Settings that may leave the machine: an allow-list.

Loggers and artifacts hold settings where others can read them. Numbers, flags and the names of classes and options are
sent. All other text is hidden: it may be a path, a file name, an address, the name of a person or of a site, or a
secret.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

HIDDEN = "<hidden>"
_LEFT_OUT = ("paths", "logger", "hydra")
_OVERRIDES = ("pretraining", "paper.row")
# Settings whose text is a name: of an option, a task, a class or the run.
_TEXT = (
    "name", "on_nan", "debug",
    "engine.space", "engine.precision", "engine.deterministic", "engine.compile", "engine.channels_last",
    "data.target", "data.views", "data.view", "data.per_patient", "data.split", "data.uncertain",
    "data.uncertain_eval", "data.on_error", "data.classes", "data.macro.*",
    "encoder.name", "encoder.pretrained", "encoder.stages", "encoder.head_paths",
    "task.*.name", "target_task.name", "task.*.pos_weight", "target_task.pos_weight",
    "split", "device", "*attack.loss", "*attack.norm", "*attack.mode", "*attack.tasks", "*attack.random_start",
    "*attack.targeted",
    "unlabeled.mode", "unlabeled.images", "method.norm", "method.mode", "method.pairing",
    "curvature.mode", "curvature.derivative", "curvature.scheme", "weighting.normalize", "weighting.target",
    "weighting.rule", "weighting.arguments.*",
    "callbacks.*.mode", "trainer.accelerator", "trainer.devices", "trainer.strategy",
    "trainer.precision", "trainer.deterministic", "paper.table", "paper.scale", "paper.data", "paper.encoder",
)  # fmt: skip

# Settings whose text is one of these words, or a place.
_WORDS = {
    "data.unlabeled": ("own", "rest"),
    "unlabeled.teacher": ("standard", "ema"),
    "optimized_metric": ("val/selection",),
}

# Groups of which an override chooses an option by its name.
_GROUPS = (
    "attack", "augment", "callbacks", "data", "debug", "encoder", "engine", "evaluation", "experiment", "method",
    "optimizer", "recipe/*", "schedule", "task", "trainer", "weighting",
)  # fmt: skip

_KEY = re.compile(r"[\w+-]+(/[\w+-]+)*")
_NAME = re.compile(r"\w[\w+.-]*")
_OPTION = re.compile(r"\w[\w+-]*(/\w[\w+-]*)*")
_CLASS = re.compile(r"\w+(\.\w+)*")
_NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?(/[\d.]+)?")


def public_config(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain types, without paths and loggers, and with unknown text hidden."""
    kept = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    if "paths" in kept:
        kept.paths = dict.fromkeys(kept.paths, "")
    resolved = OmegaConf.to_container(kept, resolve=True)
    assert isinstance(resolved, dict)
    return _public("", {key: value for key, value in resolved.items() if key not in _LEFT_OUT})


def public_override(override: str) -> str:
    """An override as it is typed for Hydra, ``name=value``, with unknown text hidden."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return HIDDEN
    value = parsed.value()
    if isinstance(value, str) and _OPTION.fullmatch(value) and _among(parsed.key_or_group, _GROUPS):
        return override
    shown = _public(parsed.key_or_group, value)
    return override if shown == value else f"{parsed.get_key_element()}={shown}"


def _public(setting: str, value: Any) -> Any:
    """The value of a setting with dotted name, as far as it is known to be harmless."""
    if isinstance(value, dict):
        names = {str(key): item for key, item in value.items() if _KEY.fullmatch(str(key))}
        return {name: _public(f"{setting}.{name}".lstrip("."), item) for name, item in names.items()}
    if isinstance(value, list):
        return [_public(setting, item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if value in _WORDS.get(setting, ()):
        return value
    if setting in _OVERRIDES:
        return public_override(value)
    form = _CLASS if setting.endswith("_target_") else _NAME if _among(setting, _TEXT) else _NUMBER
    return value if isinstance(value, str) and form.fullmatch(value) else HIDDEN


def _among(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


_KEPT = ("epoch", "global_step", "pytorch-lightning_version", "state_dict", "tasks")


def write_shareable(checkpoint: Path, target: Path) -> None:
    """Write a copy of a checkpoint for evaluation and export, which cannot be resumed.

    The copy has no states of optimiser, loops and callbacks. Its configuration is that of :func:`public_config`.

    Args:
        checkpoint: one of ours.
        target: path of the copy.
    """
    content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    origin = content["gat_lightning"]
    kept = {key: content[key] for key in _KEPT if key in content}
    kept["gat_lightning"] = {**origin, "config": public_config(OmegaConf.create(origin["config"]))}
    torch.save(kept, target)
