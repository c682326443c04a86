"""Images per second of the training command itself, as it logs them."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

import numpy as np

from benchmarks.gpu.commands import TWO
from benchmarks.gpu.launch import trained
from benchmarks.gpu.machine import Machine

FAST = ("engine=fast", "engine.compile=true")  # auto would not compile for so few steps
VARIANTS: dict[str, tuple[str, ...]] = {
    "engine=fast, without curvature": (*FAST, "curvature.mode=off"),
    "engine=exact, without curvature": ("engine=exact", "curvature.mode=off"),
    "engine=fast, finite differences": (*FAST, "curvature.derivative=finite_difference"),
    "engine=exact, finite differences": ("engine=exact", "curvature.derivative=finite_difference"),
    "engine=fast, without attack": (*FAST, "curvature.mode=off", "method=standard"),
}


def training(machine: Machine, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Images per second between two rows of ``metrics.csv``, on noise of the size of CIFAR-10.

    The first row, in whose time passes are compiled, does not count for the median.
    """
    size, steps, width = machine.sized((50_000, 90, 64), (400, 3, 16))
    path = Path(mkdtemp(dir=machine.folder)) / "noise.npz"
    write_noise(path, {"train": size, "test": 200})
    run = trained(
        machine,
        "data=arrays", f"data.path='{path}'", "data.macro={v: [0,1,8,9], a: [2,3,4,5,6,7]}", TWO,
        "encoder=" + machine.sized("preact_resnet18", "preact_resnet_small"), f"encoder.width={width}",
        "trainer.max_epochs=1", f"+trainer.limit_train_batches={steps}", "+trainer.limit_val_batches=1",
        "+trainer.limit_test_batches=1", f"trainer.log_every_n_steps={max(1, steps // 6)}", *overrides,
    )  # fmt: skip
    with (run / "metrics.csv").open() as file:
        rates = [float(row["images_per_second"]) for row in csv.DictReader(file) if row.get("images_per_second")]
    return {"images per second": round(median(rates[1:])), "rates": rates}


def write_noise(path: Path, counts: dict[str, int]) -> None:
    """Images of noise in ten classes, so many of each split, as ``data=arrays`` reads them."""
    random, arrays = np.random.default_rng(0), {}
    for split, count in counts.items():
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % 10
    np.savez(path, **arrays)
