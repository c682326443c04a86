"""Type annotations as rules for the plain values of YAML."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}


def fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value is of an annotated type; True wherever that cannot be told."""
    arguments = get_args(annotation)
    if _is_union(annotation):
        return any(fits(value, member) for member in [member for member in arguments if _is_plain(member)] or arguments)
    if get_origin(annotation) is Literal:
        return value in arguments
    if annotation in (int, float):
        return isinstance(value, (int, annotation)) and not isinstance(value, bool)
    if annotation in _WORDS:
        return isinstance(value, annotation)
    if _is_class_below(annotation, Mapping):
        return isinstance(value, dict) and all(fits(item, arguments[1]) for item in value.values() if arguments)
    if _is_class_below(annotation, Sequence):
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value if arguments)
    return True


def describe(annotation: Any) -> str:
    """What a type is called in a message."""
    arguments = get_args(annotation)
    if _is_union(annotation):
        return " or ".join(dict.fromkeys(describe(member) for member in arguments if _is_plain(member)))
    if get_origin(annotation) is Literal:
        return f"one of: {', '.join(map(str, arguments))}"
    if annotation in _WORDS:
        return _WORDS[annotation]
    if _is_class_below(annotation, Mapping):
        return "{NAME: " + (describe(arguments[1]) if arguments else "VALUE") + "}"
    return "a list"


def names(annotation: Any) -> list[str]:
    """The texts that an annotation enumerates."""
    members = get_args(annotation) if _is_union(annotation) else [annotation]
    return [str(name) for member in members if get_origin(member) is Literal for name in get_args(member)]


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _is_plain(annotation: Any) -> bool:
    return (
        annotation in _WORDS
        or get_origin(annotation) is Literal
        or _is_class_below(annotation, Mapping)
        or _is_class_below(annotation, Sequence)
    )


def _is_class_below(annotation: Any, base: type) -> bool:
    origin = get_origin(annotation) or annotation
    return inspect.isclass(origin) and issubclass(origin, base)
