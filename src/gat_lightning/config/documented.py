"""The files of the configuration as their comments document them: a comment above a key is its description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml  # type: ignore[import-untyped, unused-ignore]

_LONG = 60
"""Characters from which a text is shown without the quotes of YAML."""


@dataclass
class Setting:
    """A key of a YAML file.

    Attributes:
        path: dotted, as it is typed.
        default: as YAML in one line; None for a key with keys of its own.
        meaning: the comment above it, or "".
    """

    path: str
    default: str | None
    meaning: str


@dataclass
class Option:
    """A YAML file.

    Attributes:
        name: as it is typed.
        about: the comment at its head.
        target: what it makes, or None.
        choices: entries of its defaults list, as ``group=option``.
        settings: its keys.
    """

    name: str
    about: str
    target: str | None
    choices: list[str] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)


def read_option(path: Path, prefix: str) -> Option:
    """A YAML file with its comments.

    Args:
        path: of the file.
        prefix: dotted path of its group, before which its keys are typed; "" for none, as for ``@package _global_``.
    """
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    content = yaml.safe_load(text) or {}
    head = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    about = _joined(line for line in lines[:head] if "@package" not in line)
    prefix = "" if any("@package _global_" in line for line in lines[:head]) else prefix
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    settings = list(_settings(root, lines, prefix, head)) if isinstance(root, yaml.MappingNode) else []
    choices = [_choice(entry) for entry in content.get("defaults", ()) if entry != "_self_"]
    return Option(path.stem, about, content.get("_target_"), choices, settings)


def written(value: object) -> str:
    """A value as YAML in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _settings(node: yaml.MappingNode, lines: list[str], prefix: str, head: int) -> Iterator[Setting]:
    for key, value in node.value:
        name = key.value
        if name in ("defaults", "_target_", "_partial_", "_recursive_"):
            continue
        path = f"{prefix}.{name}".lstrip(".")
        meaning = _comment_above(lines, key.start_mark.line, head)
        if isinstance(value, yaml.MappingNode) and value.value:
            if meaning:
                yield Setting(path, None, meaning)
            yield from _settings(value, lines, path, head)
        else:
            yield Setting(path, _default(value), meaning)


def _comment_above(lines: list[str], line: int, head: int) -> str:
    start = line
    while start > head and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return _joined(lines[start:line])


def _joined(comments: Iterable[str]) -> str:
    return " ".join(line.strip().removeprefix("#").strip() for line in comments)


def _default(node: yaml.Node) -> str:
    value = yaml.safe_load(yaml.serialize(node))
    if isinstance(value, str) and ("\n" in value or len(value) > _LONG):
        return "(text)" if "\n" in value else value
    text = written(value)
    return text.strip("'\"") if isinstance(value, str) and value else text


def _choice(entry: str | dict[str, str | None]) -> str:
    if isinstance(entry, str):
        return entry
    ((group, option),) = entry.items()
    return f"{group.removeprefix('override ').removeprefix('/')}={'null' if option is None else option}"
