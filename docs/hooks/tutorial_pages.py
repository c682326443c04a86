"""The tutorials: the notebooks as pages, with the outputs that are kept in them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ADDRESSES = {
    "1_quick_start": "first-attack",
    "2_bring_your_own": "your-model-and-your-pictures",
    "3_inside_one_step": "inside-one-step",
    "4_reading_a_sweep": "reading-a-sweep",
}
"""Notebooks in reading order, and the names of their pages."""

_BADGE = re.compile(r"\[!\[([^\]]+)\]\([^)]+\)\]")
"""A picture that is fetched from a network, in a link."""
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
"""Of an output, which is no section of the page."""
_WRITEFILE = "%%writefile "
_BASH = "%%bash\n"


def pages(folder: Path) -> dict[str, str | bytes]:
    """Every page and every picture by its address below ``tutorials/``. Links are relative to the notebooks.

    Args:
        folder: with the notebooks.
    """
    found: dict[str, str | bytes] = {}
    for name, address in ADDRESSES.items():
        cells = json.loads((folder / f"{name}.ipynb").read_text())["cells"]
        parts = []
        for cell in cells:
            parts.append(_source(cell))
            for number, output in enumerate(cell.get("outputs", ())):
                picture = f"{address}-{cell['id']}-{number}.png"
                parts += _shown(output, picture)
                if "image/png" in output.get("data", {}):
                    found[picture] = base64.b64decode(output["data"]["image/png"])
        found[page_of(name)] = "\n\n".join(parts) + "\n"
    return found


def page_of(notebook: str) -> str:
    """Address of a notebook's page, below ``tutorials/``."""
    return f"{ADDRESSES[notebook]}.md"


def _source(cell: dict[str, Any]) -> str:
    """The text of a cell, or its code in a fence."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return _BADGE.sub(r"[\1]", text)
    if text.startswith(_BASH):
        return _fence("bash", text.removeprefix(_BASH))
    if text.startswith(_WRITEFILE):
        name, _, content = text.removeprefix(_WRITEFILE).partition("\n")
        return _fence(f'python title="{name}"', content)
    return _fence("python", text)


def _shown(output: dict[str, Any], picture: str) -> Iterator[str]:
    """An output of a cell: a picture, a table, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        yield f"![What the code above draws](../docs/tutorials/{picture})"
    elif "text/markdown" in data:
        yield _HEADING.sub(r"**\1**", "".join(data["text/markdown"]))
    else:
        yield _fence("text", "".join(output.get("text", ()) or data["text/plain"]))


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"
