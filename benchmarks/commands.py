"""Whole trainings by the command, with compilation and evaluation: ``engine=exact`` against ``engine=fast``."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Span, Tick, Times
from benchmarks.work import ROUND_DIGITS, Work, digits
from gat_lightning.errors import UserError

ENGINES = ("exact", "fast")
"""In the order in which they are run."""

EPOCHS = 8
"""More than ten minutes on two cores."""
TEST_SHARE = 5
"""One image in so many is for the test."""


@dataclass(frozen=True)
class Training:
    """A training by the command.

    Attributes:
        what: it is called.
        settings: the overrides, given the work and a folder for data.
        least: the ratio of ``exact`` to ``fast`` that we aim for.
        once: run in one round only, since it takes minutes.
    """

    what: str
    settings: Callable[[Work, Path], list[str]]
    least: float
    once: bool = False


def compare(training: Training, work: Work, rounds: int, tick: Tick) -> tuple[Times, dict[str, Any]]:
    """Times of a training with each engine, in turn, and what the last run of each recorded.

    Every command compiles anew.
    """
    spans: dict[str, list[Span]] = {engine: [] for engine in ENGINES}
    recorded: dict[str, Any] = {}
    for _ in range(1 if training.once else rounds):
        for engine in ENGINES:
            tick(f"{training.what}, engine={engine}")
            with tempfile.TemporaryDirectory() as folder:
                overrides = training.settings(work, Path(folder))
                spans[engine].append(_timed([*overrides, f"engine={engine}"], work, Path(folder)))
                recorded[engine] = _record(Path(folder))
    return Times(spans), {"order": list(ENGINES), "recorded": recorded}


def _timed(overrides: list[str], work: Work, folder: Path) -> Span:
    """Duration of the command.

    Raises:
        UserError: it failed.
    """
    command = [sys.executable, "-m", "gat_lightning.train", *overrides, f"paths.output={folder / 'outputs'}"]
    settings = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled"), "OMP_NUM_THREADS": str(work.threads)}
    wall, cpu = time.perf_counter(), _processor_seconds()
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return Span(time.perf_counter() - wall, _processor_seconds() - cpu)


def _processor_seconds() -> float:
    """Of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _record(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("outputs/*/result.json")
    result = json.loads(path.read_text())
    return {"durations": result["durations"], "engine": result.get("engine"), "metrics": result["metrics"]}


def _quickstart(work: Work, folder: Path) -> list[str]:
    return ["experiment=quickstart", f"seed={work.seed}"]


def _long(work: Work, folder: Path) -> list[str]:
    """Three tasks on digits that are as large as the images of a step in the other rows."""
    path = folder / "digits.npz"
    images, labels = digits(work.size)
    arrays, test = {}, np.arange(len(labels)) % TEST_SHARE == 0
    pixels = (255 * images).round().byte().permute(0, 2, 3, 1).numpy()
    for split, chosen in (("train", ~test), ("test", test)):
        arrays |= {f"{split}_images": pixels[chosen], f"{split}_labels": labels.numpy()[chosen]}
    np.savez(path, **arrays)
    others = [digit for digit in range(10) if digit not in ROUND_DIGITS]
    return [
        "data=arrays", f"data.path={path}", f"data.macro={{open: {others}, round: {list(ROUND_DIGITS)}}}",
        f"data.batch_size={work.batch}", "data.flip=false", "data.views=separate", "task=macro+rotation",
        "weighting=mgda_floor", "curvature.mode=off", f"encoder={work.encoder}", f"encoder.width={work.width}",
        "schedule=one_cycle", f"trainer.max_epochs={EPOCHS}", "trainer.accelerator=cpu", f"seed={work.seed}",
    ]  # fmt: skip


TRAININGS = (
    Training("experiment=quickstart", _quickstart, least=1.0),
    Training(f"{EPOCHS} epochs on enlarged digits, without curvature", _long, least=1.5, once=True),
)
