"""A row of the table, and the bar that its ratio is to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.timing import Ratio, Times


@dataclass(frozen=True)
class Bar:
    """What a ratio is meant to be.

    Attributes:
        least: it is at least this, or
        most: at most this.
        goal: whether missing it is no failure.
    """

    least: float | None = None
    most: float | None = None
    goal: bool = False

    def met(self, ratio: Ratio) -> bool:
        """By the median."""
        return (self.least is None or ratio.median >= self.least) and (self.most is None or ratio.median <= self.most)

    def __str__(self) -> str:
        sign, value = ("≥", self.least) if self.least is not None else ("≤", self.most)
        return f"{sign} {value:.7g}" + (" (goal)" if self.goal else "")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        group: name by which ``--rows`` chooses it.
        what: is compared.
        ratio: of the clock's seconds, or of bytes; None where it was not run.
        bar: what it is meant to be, if anything.
        cpu_ratio: of the processors' seconds.
        detail: figures behind it, plain types.
    """

    group: str
    what: str
    ratio: Ratio | None = None
    bar: Bar | None = None
    cpu_ratio: Ratio | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without a bar or a figure."""
        return None if self.bar is None or self.ratio is None else self.bar.met(self.ratio)


def ratio_row(
    group: str,
    what: str,
    times: Times,
    numerator: str,
    denominator: str,
    bar: Bar | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Row:
    """The row of two contestants' times, with the median seconds of both and what ``detail`` adds."""
    seconds = {name: each for name, each in times.seconds().items() if name in (numerator, denominator)}
    ratio, cpu = times.ratio(numerator, denominator), times.cpu_ratio(numerator, denominator)
    return Row(group, what, ratio, bar, cpu, {**seconds, **(detail or {})})
