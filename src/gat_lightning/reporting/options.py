"""Names of the options of ``conf/`` that a run was made with, in place of the settings that they give."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gat_lightning.config.options import options_of

_COMPONENTS = {
    "data": "data", "augment": "augment", "encoder": "encoder", "method": "method", "attack": "attack",
    "validation.attack": "attack", "test.attack": "attack", "weighting": "weighting", "optimizer": "optimizer",
    "schedule": "schedule",
}  # fmt: skip
"""Nodes of the configuration with a ``_target_``, and the groups of their options."""

_PRESETS, _USUAL_PRESET = "engine", "exact"
_NODES_OF_PRESETS = ("engine", "trainer")
"""Nodes with the settings of a preset: ``trainer`` follows ``engine``, and is the first spelling of some."""


@dataclass(frozen=True)
class Options:
    """Settings of a training, with the names of its options.

    Attributes:
        chosen: the option of each group, such as ``method: fat`` and ``task: macro+rotation``, and each setting that
            the option does not give, such as ``weighting.rescale: true``.
        following: settings that follow others where nobody types them, such as ``method.eps``.
    """

    chosen: dict[str, str] = field(default_factory=dict)
    following: dict[str, str] = field(default_factory=dict)


def options(settings: dict[str, str]) -> Options:
    """The options of a training.

    Args:
        settings: flat, by dotted names, in JSON, as :attr:`~gat_lightning.reporting.records.Record.settings` has them.
            A component that no option gives is named by its class.
    """
    left, found = dict(settings), Options()
    _take_preset(left, found)
    for node, group in _COMPONENTS.items():
        _take_component(left, found, node, group)
    _take_tasks(left, found)
    found.chosen.update({name: _text(value) for name, value in left.items()})
    return found


def _take_component(left: dict[str, str], found: Options, node: str, group: str) -> None:
    target = left.pop(f"{node}._target_", None)
    if target is None:
        return
    given = {name.removeprefix(f"{node}."): value for name, value in left.items() if name.startswith(f"{node}.")}
    fitting = {name: option for name, option in _options(group).items() if option.get("_target_") == json.loads(target)}
    for key in given:
        del left[f"{node}.{key}"]
    if not fitting:
        found.chosen[node] = _text(target).rpartition(".")[2]
        found.chosen.update({f"{node}.{key}": _text(value) for key, value in given.items()})
        return
    name = min(fitting, key=lambda name: len(_otherwise(given, fitting[name])))
    found.chosen[node] = name
    found.chosen.update({f"{node}.{key}": _text(given[key]) for key in _otherwise(given, fitting[name])})
    follow = {key: value for key, value in given.items() if _follows(fitting[name].get(key))}
    found.following.update({f"{node}.{key}": _text(value) for key, value in follow.items()})


def _take_tasks(left: dict[str, str], found: Options) -> None:
    nodes = [name for name in left if name == "task" or name.startswith("task.")]
    if not nodes:
        return
    given = {name.removeprefix("task."): left.pop(name) for name in nodes}
    tasks = list(dict.fromkeys(key.partition(".")[0] for key in given if key != "task"))
    found.chosen["task"] = "+".join(tasks) or _text(given["task"])
    usual = {key: value for task in tasks for key, value in _options("task").get(task, {}).items()}
    for key, value in given.items():
        if key in usual and not _follows(usual[key]) and json.loads(value) != usual[key]:
            found.chosen[f"task.{key}"] = _text(value)


def _take_preset(left: dict[str, str], found: Options) -> None:
    """Settings that a run does not have are those of the usual preset. Where they are no preset's, all stay."""
    presets = _options(_PRESETS)
    keys = {f"{node}.{key}": key for node in _NODES_OF_PRESETS for key in presets[_USUAL_PRESET]}
    present = {key: json.loads(left[name]) for name, key in keys.items() if name in left}
    for preset, given in presets.items():
        if presets[_USUAL_PRESET] | present == given:
            for name in keys:
                left.pop(name, None)
            found.chosen[_PRESETS] = preset


def _otherwise(given: dict[str, str], option: dict[str, Any]) -> list[str]:
    """Keys of the settings whose values are not those of the option."""
    return [
        key
        for key, value in given.items()
        if not key.startswith("_") and not _follows(option.get(key)) and json.loads(value) != option.get(key, _MISSING)
    ]


_MISSING = object()


def _follows(value: Any) -> bool:
    return isinstance(value, str) and ("${" in value or value == "???")


def _text(value: str) -> str:
    return "none" if value == "{}" else value.strip('"')


@cache
def _options(group: str) -> dict[str, dict[str, Any]]:
    """Settings of each option of a group, flat, not resolved."""
    return {name: dict(_flat(settings)) for name, settings in options_of(group).items()}


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _flat(value, f"{prefix}{key}.")
    else:
        yield prefix.rstrip("."), node
