"""Docstrings as Markdown: roles such as ``:func:`` become links, formulas become fenced blocks or pictures."""

from __future__ import annotations

import re
from textwrap import dedent, indent
from typing import Any

import formulas
import griffe

_ROLE = re.compile(r":(?:func|class|meth|attr|data|mod):`(~?)([\w.]+)`")
_INLINE = re.compile(r":math:`([^`]+)`")
_BLOCK = re.compile(r"^([ ]*)\.\. math:: (.+(?:\n\1[ ]+\S.*)*)$", re.MULTILINE)
_LITERAL = re.compile(r"^[ ]*::$", re.MULTILINE)


class DocstringRoles(griffe.Extension):
    """Rewrites every docstring once the package is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value, obj)


def as_markdown(text: str, obj: griffe.Object) -> str:
    """A docstring without roles and directives of Sphinx."""
    text = _BLOCK.sub(_fenced, text)
    text = _INLINE.sub(lambda match: formulas.picture(match[1]).replace("\\", "&#92;"), text)
    text = _ROLE.sub(lambda match: _reference(match[2], bool(match[1]), obj), text)
    return _LITERAL.sub("", text)


def _fenced(match: re.Match[str]) -> str:
    formula = " ".join(dedent(match[2]).split())
    return indent(f"\n```math\n{formula}\n```", match[1])


def _reference(name: str, short: bool, obj: griffe.Object) -> str:
    shown = name.rpartition(".")[2] if short else name
    found = _documented(name, obj)
    return f"`{shown}`" if found is None else f"[`{shown}`][{found}]"


def _documented(name: str, obj: griffe.Object) -> str | None:
    """Path of a public object with a docstring; None where there is none of that name."""
    first, _, rest = name.partition(".")
    try:
        path = name if first == "gat_lightning" else ".".join(filter(None, (obj.resolve(first), rest)))
        target = obj.modules_collection[path]
        target = target.final_target if target.is_alias else target
    except (griffe.NameResolutionError, griffe.AliasResolutionError, KeyError):
        return None
    private = any(part.startswith("_") for part in target.path.split("."))
    return None if private or not target.has_docstring else target.path
