"""Times of several contestants, taken turn by turn, and ratios between them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch

Tick = Callable[[str], None]
"""Called before each step with what is about to be timed."""


@dataclass(frozen=True)
class Span:
    """Duration of one step in seconds: by the clock, and of all the process's threads on the processors."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratio:
    """Of two contestants' times, round by round."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
        """Median, smallest and largest of the rounds' ratios."""
        ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
        return cls(median(ratios), min(ratios), max(ratios))


@dataclass(frozen=True)
class Times:
    """Of every contestant, one :class:`Span` per round."""

    spans: dict[str, list[Span]]

    def wall(self, name: str) -> list[float]:
        """Seconds by the clock."""
        return [span.wall for span in self.spans[name]]

    def cpu(self, name: str) -> list[float]:
        """Seconds on the processors."""
        return [span.cpu for span in self.spans[name]]

    def ratio(self, numerator: str, denominator: str) -> Ratio:
        """Of the clock's seconds."""
        return Ratio.of(self.wall(numerator), self.wall(denominator))

    def cpu_ratio(self, numerator: str, denominator: str) -> Ratio:
        """Of the processors' seconds, which other processes disturb less."""
        return Ratio.of(self.cpu(numerator), self.cpu(denominator))

    def seconds(self) -> dict[str, dict[str, float]]:
        """Median seconds of every contestant."""
        return {name: {"wall": median(self.wall(name)), "cpu": median(self.cpu(name))} for name in self.spans}


def interleaved(steps: Mapping[str, Callable[[int], object]], rounds: int, tick: Tick, warmup: int = 1) -> Times:
    """Time ``rounds`` steps of each contestant, A B C A B C ..., after ``warmup`` rounds that do not count.

    What disturbs the machine for longer than a step so disturbs all contestants of a round, and leaves their ratio.
    """
    spans: dict[str, list[Span]] = {name: [] for name in steps}
    for index in range(warmup + rounds):
        for name, step in steps.items():
            tick(name if index >= warmup else f"{name} (warm-up)")
            span = timed(step, index)
            if index >= warmup:
                spans[name].append(span)
    return Times(spans)


def repeated(step: Callable[[int], object], times: int) -> Callable[[int], None]:
    """A step that does so many of another's, each with an index of its own."""

    def run(index: int) -> None:
        for repeat in range(times):
            step(times * index + repeat)

    return run


def timed(step: Callable[[int], object], index: int) -> Span:
    """Time one call; garbage of earlier ones is collected before."""
    gc.collect()
    _wait()
    wall, cpu = time.perf_counter(), time.process_time()
    step(index)
    _wait()
    return Span(time.perf_counter() - wall, time.process_time() - cpu)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
