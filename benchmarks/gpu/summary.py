"""What has been found so far, as Markdown: goals first, then a table of each phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.journal import Journal
from benchmarks.gpu.steps import BEFORE, CURVATURES, EXACT, FAST
from gat_lightning.reporting.tables import table_lines

_FEWER_THAN = 1e4
"""Larger figures are shown without digits after the point."""


@dataclass(frozen=True)
class Goal:
    """What a figure is meant to be.

    Attributes:
        what: is measured.
        figure: of the journal's lines; None where one is missing.
        least: it is at least this; None where the figure is reported.
    """

    what: str
    figure: float | None
    least: float | None

    def cells(self) -> list[str]:
        """What, figure, goal, whether it is met."""
        figure = "not measured" if self.figure is None else _figure(self.figure)
        goal = "" if self.least is None else f"≥ {self.least:,g}"
        met = "" if self.least is None or self.figure is None else "yes" if self.figure >= self.least else "no"
        return [self.what, figure, goal, met]


def goals(journal: Journal) -> list[Goal]:
    """For ResNet-18, batches of 128, three tasks and PGD-10 on one H100."""

    def step(engine: str, curvature: str, figure: str) -> float | None:
        value: float | None = journal.lines.get(("step", f"{engine}, {curvature}"), {}).get(figure)
        return value

    least = {"without curvature": 4500.0, "finite differences": 1800.0}
    found = [
        Goal(
            f"images per second, {FAST}, {curvature}", step(FAST, curvature, "images per second"), least.get(curvature)
        )
        for curvature in CURVATURES
    ]
    for slow, bar in ((BEFORE, 2.5), (EXACT, None)):
        for curvature in CURVATURES:
            times = [step(engine, curvature, "ms") for engine in (slow, FAST)]
            ratio = times[0] / times[1] if times[0] and times[1] else None
            found.append(Goal(f"{slow} / {FAST}, {curvature}", ratio, bar))
    return found


def summary(journal: Journal) -> str:
    """The goals, then every phase: the figures of its items, and what failed or was not measured."""
    cells = [goal.cells() for goal in goals(journal)]
    parts = ["# What a GPU shows", *_machine(journal), "", _table([["figure", "value", "goal", "met"], *cells])]
    phases: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (phase, name), line in journal.lines.items():
        phases.setdefault(phase, {})[name] = line
    for phase, lines in phases.items():
        parts += ["", f"## {phase.capitalize()}"]
        for described in (_figures, _failures, _skipped):
            if text := described(lines):
                parts += ["", text]
    return "\n".join(parts) + "\n"


def _machine(journal: Journal) -> list[str]:
    line = journal.lines.get(("environment", "machine"))
    if line is None:
        return []
    versions = ", ".join(f"{package} {version}" for package, version in line["versions"].items())
    rehearsed = ["", "**A rehearsal on a CPU: the figures mean nothing.**"] if line["device"]["type"] == "cpu" else []
    return ["", f"{line['device']['name']}, {versions}.", *rehearsed]


def _figures(lines: Mapping[str, Mapping[str, Any]]) -> str:
    """A column for each figure; lists and tables are in the journal alone."""
    found = {name: _scalars(line) for name, line in lines.items() if line.get("ok")}
    columns = list(dict.fromkeys(column for figures in found.values() for column in figures))
    rows = [[name, *(figures.get(column, "") for column in columns)] for name, figures in found.items()]
    return _table([["", *columns], *rows]) if rows else ""


def _failures(lines: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(
        f"- **{name}** failed after {line['seconds']} s: {line['error'].splitlines()[0]}"
        for name, line in lines.items()
        if line.get("ok") is False
    )


def _skipped(lines: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(f"- {name}: not measured, {line['skipped']}" for name, line in lines.items() if "skipped" in line)


def _scalars(line: Mapping[str, Any]) -> dict[str, str]:
    figures = {key: value for key, value in line.items() if key not in ("phase", "name", "ok")}
    return {key: _figure(value) for key, value in figures.items() if isinstance(value, (bool, int, float, str))}


def _figure(value: bool | float | str) -> str:
    if isinstance(value, (bool, str)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value >= _FEWER_THAN else f"{value:.3g}"


def _table(rows: list[list[str]]) -> str:
    return table_lines(rows).rstrip()
