"""Formulas as pictures inside the page: no script, no font and no network is needed to read them."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

_SIZE = 100.0
_MARGIN = 4.0
_EM = 1.15
_FONT = FontProperties(family="DejaVu Sans", math_fontfamily="stix")
_COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
_SAME = (
    (r"\\frac\b", r"\\dfrac"),
    (r"\\[lr]Vert\b", r"\\|"),
    (r"\\bigg?[lr]?\b", ""),
    (r"\\textstyle\b", ""),
    (r"\\ge\b", r"\\geq"),
    (r"\\le\b", r"\\leq"),
    (r"\\tfrac(\d)(\d)", r"\\frac{\1}{\2}"),
    (r"\\lvert\b|\\rvert\b", "|"),
    (r"(\\mathcal\{\w\})'", r"\1^{\\,\\prime}"),
    (r"(\\(?:sum|min|max)(?:[_^](?:\{[^{}]*\}|\w|\\\w+))+)", r"\1\\,"),
)
"""What matplotlib's mathtext does not know of LaTeX or sets too tightly, and what to write for it."""


def picture(tex: str) -> str:
    """A formula as inline SVG in the colour of the text around it, with its source for screen readers.

    Raises:
        ValueError: it is none that can be drawn.
    """
    text = " ".join(tex.split())
    for pattern, same in _SAME:
        text = re.sub(pattern, same, text)
    path = TextPath((0, 0), f"${text}$", size=_SIZE, prop=_FONT)
    box = path.get_extents()
    left, top = box.x0 - _MARGIN, -box.y1 - _MARGIN
    width, height = box.width + 2 * _MARGIN, box.height + 2 * _MARGIN
    view = f"{left:.0f} {top:.0f} {width:.0f} {height:.0f}"
    return (
        f'<svg class="formula" role="img" aria-label="{escape(tex.strip(), quote=True)}"'
        f' style="width:{_EM * width / _SIZE:.2f}em" viewBox="{view}">'
        f'<path fill="currentColor" d="{_outline(path)}"/></svg>'
    )


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **_: Any) -> str:
    """A block fenced as ``math``, which has one formula as on GitHub, for ``pymdownx.superfences``."""
    return f'<div class="formulas">{picture(source)}</div>'


def _outline(path: Path) -> str:
    """In SVG's words, with the y axis downwards."""
    parts = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        if code == Path.CLOSEPOLY:
            parts.append("Z")
        else:
            values = [f"{value:.0f}" for x, y in points.reshape(-1, 2) for value in (x, -y)]
            parts.append(_COMMANDS[code] + " ".join(values))
    return "".join(parts)
