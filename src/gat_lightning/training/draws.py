"""Random numbers of training steps, drawn by a thread while the step before runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from math import prod
from threading import Lock, Thread

import torch
from torch import Tensor

from gat_lightning.distributed import to_device
from gat_lightning.randomness import BatchGenerator, Draw, Shard, generator_for

AHEAD = ("cuda",)
"""Types of the devices whose trainings draw ahead. On a CPU, the thread would take time from the step."""

MOST_BYTES = 2**30
"""How many bytes of numbers are drawn ahead for a step."""

THREAD = "draws ahead"
"""Name of the thread."""

Key = tuple[int, ...]
"""Seed, epoch and step."""


class StepDraws:
    """Makes the generators of training steps, on a GPU with numbers that are drawn one step ahead.

    A step is expected to draw what the step before draws. Expected numbers are ready when the step asks for them, in
    pinned memory. All others are drawn when they are asked for. In any case they are those of
    :class:`~gat_lightning.randomness.BatchGenerator`. An error of the thread is raised in a later step, even if the
    numbers are not used.
    """

    def __init__(self) -> None:
        self._ahead: _Ahead | None = None

    def start(self, device: torch.device) -> None:
        """Start a training on a device."""
        self._ahead = _Ahead(device) if device.type in AHEAD else None

    def end(self) -> None:
        """Forget all numbers."""
        if self._ahead is not None:
            self._ahead.discard()
            self._ahead = None

    def generators(self, shard: Shard, key: Key) -> Callable[[str], BatchGenerator]:
        """Makes the generator of a purpose within a step.

        Args:
            shard: of the samples that are drawn for. The first call within a step is for all samples of this process.
            key: of the step.
        """
        if self._ahead is None:
            return partial(BatchGenerator, shard, *key)
        return partial(_AheadGenerator, shard, *self._ahead.at(shard, key))


class _Ahead:
    """The numbers that are ready for a step, and those that are drawn for the coming one."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._thread = device, _Thread()
        self._ready = self._coming = self._numbers((), Shard.whole(0))

    def at(self, shard: Shard, key: Key) -> tuple[_Numbers, _Numbers]:
        """Those for this step and for the coming one."""
        if key != self._ready.key:
            self._ready.discard()
            self._ready = self._coming
            if (self._ready.key, self._ready.shard) != (key, shard):
                self._ready.discard()
                self._ready = self._numbers(key, shard)
            self._coming = self._numbers((*key[:-1], key[-1] + 1), shard)
        return self._ready, self._coming

    def discard(self) -> None:
        """Forget them; raise what went wrong with them."""
        self._ready.discard()
        self._coming.discard()

    def _numbers(self, key: Key, shard: Shard) -> _Numbers:
        return _Numbers(key, shard, self._device, self._thread)


class _Numbers:
    """What a step is expected to draw for the samples of this process, by purpose and in order."""

    def __init__(self, key: Key, shard: Shard, device: torch.device, thread: _Thread) -> None:
        self.key, self.shard = key, shard
        self._device, self._thread = device, thread
        self._generators: dict[str, torch.Generator] = {}
        self._drawn: dict[str, list[tuple[Draw, Future[Tensor]]]] = {}
        self._bytes = 0

    def order(self, purpose: str, place: int, draw: Draw) -> None:
        """Have the thread draw, unless the draw before was not ordered or this one is already."""
        drawn = self._drawn.setdefault(purpose, [])
        size = self.shard.size * prod(draw.shape) * draw.dtype.itemsize
        if len(drawn) != place or self._bytes + size > MOST_BYTES:
            return
        self._bytes += size
        generator = self._generators.setdefault(purpose, generator_for(*self.key, purpose))
        drawn.append((draw, self._thread.submit(partial(self._draw, draw, generator))))

    def _draw(self, draw: Draw, generator: torch.Generator) -> Tensor:
        rows = draw(self.shard.total, generator)[self.shard.offset : self.shard.offset + self.shard.size]
        if self._device.type != "cuda":
            return rows
        with torch.cuda.device(self._device):  # the thread's own is the first GPU
            return rows.pin_memory()

    def take(self, purpose: str, place: int, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor | None:
        """Rows of this process's samples, if this draw was ordered in this place."""
        drawn = self._drawn.get(purpose, ())
        return drawn[place][1].result() if place < len(drawn) and drawn[place][0] == draw else None

    def discard(self) -> None:
        """Forget the numbers; raise what went wrong with them."""
        drawn, self._drawn = self._drawn, {}
        for _, numbers in (each for purpose in drawn.values() for each in purpose):
            if not numbers.cancel():
                numbers.result()


class _AheadGenerator(BatchGenerator):
    """Takes the numbers that are ready while they are what is asked for, and orders the same for the coming step."""

    def __init__(self, shard: Shard, ready: _Numbers, coming: _Numbers, purpose: str) -> None:
        self.shard = shard
        self._ready, self._coming, self._purpose = ready, coming, purpose
        self._asked: list[Callable[[int, torch.Generator], Tensor]] = []
        self._expected = True

    def rows(self, draw: Callable[[int, torch.Generator], Tensor], device: torch.device | str = "cpu") -> Tensor:
        """These samples' rows of what a function (samples, generator) draws for the joined batch."""
        place = len(self._asked)
        numbers = self._ready.take(self._purpose, place, draw) if self._expected else None
        if isinstance(draw, Draw):
            self._coming.order(self._purpose, place, draw)
        if numbers is None and self._expected:
            self._go_on_alone()
        self._asked.append(draw)
        if numbers is None:
            return super().rows(draw, device)
        start = self.shard.offset - self._ready.shard.offset
        rows = numbers[start : start + self.shard.size]
        return to_device(rows, device) if torch.device(device).type == "cuda" else rows.to(device, copy=True)

    def _go_on_alone(self) -> None:
        """Make the generator as it is after the draws so far."""
        self._expected = False
        self._generator = generator_for(*self._ready.key, self._purpose)
        for draw in self._asked:
            draw(self.shard.total, self._generator)


class _Thread:
    """Runs functions one after another in a thread that ends with the last one, so that none is left after an error."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[tuple[Callable[[], Tensor], Future[Tensor]]] = deque()
        self._runs = False

    def submit(self, function: Callable[[], Tensor]) -> Future[Tensor]:
        future: Future[Tensor] = Future()
        with self._lock:
            self._waiting.append((function, future))
            if not self._runs:
                Thread(target=self._run, name=THREAD).start()
                self._runs = True
        return future

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._runs = False
                    return
                function, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)
