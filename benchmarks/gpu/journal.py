"""Findings of a measurement: a line of JSON each, written as it is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Key = tuple[str, str]
"""Phase and name of an item."""


class Journal:
    """Appends to a file, and to the screen; knows what earlier calls have found.

    A line is a finding if it has ``ok``: true with figures, or false with an ``error``. Where an item has not been
    measured, it has the reason as ``skipped`` instead. Of several lines of an item the last one counts.

    Args:
        path: the file. A last line that was cut off when its writer was killed is removed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines: dict[Key, dict[str, Any]] = {}
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            return
        text = path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole)
        for line in map(json.loads, whole.splitlines()):
            self.lines[line["phase"], line["name"]] = line

    def say(self, phase: str, name: str, **found: Any) -> None:
        """Write a line."""
        line = {"phase": phase, "name": name, **found}
        text = json.dumps(line, default=str, ensure_ascii=False)
        with self._path.open("a") as file:
            file.write(text + "\n")
        print(text, flush=True)
        self.lines[phase, name] = json.loads(text)

    def found(self, key: Key) -> bool | None:
        """Whether the item succeeded; None if it has not been measured."""
        ok: bool | None = self.lines.get(key, {}).get("ok")
        return ok
