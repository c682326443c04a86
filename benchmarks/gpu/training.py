"""Whole trainings on a tenth of CIFAR-10: plain adversarial training against GAT."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.gpu.launch import trained
from benchmarks.gpu.machine import Machine
from gat_lightning.data.cifar10 import CLASSES

IMAGES = 5_000
"""Training images in a tenth of CIFAR-10."""

TASKS: dict[str, tuple[str, ...]] = {
    "task=none": ("task=none",),
    "macro+rotation, without curvature": ("task=macro+rotation", "weighting=mgda_floor", "curvature.mode=off"),
    "macro+rotation, finite differences": (
        "task=macro+rotation", "weighting=mgda_floor", "curvature.derivative=finite_difference"
    ),
}  # fmt: skip
FEW = ("+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1", "+trainer.limit_test_batches=1")
SEEDS = (0, 1, 2)
RUNS = {f"{name}, seed {seed}": (*overrides, f"seed={seed}") for seed in SEEDS for name, overrides in TASKS.items()}


def run(machine: Machine, name: str) -> dict[str, Any]:
    """Train, or go on where an earlier call was stopped, and keep the run; the metrics of its two checkpoints."""
    if machine.data is None:
        raise ValueError("there are no data")
    with np.load(machine.data) as file:
        fraction = min(1.0, IMAGES / len(file["train_labels"]))
    width, epochs, few = machine.sized((64, 40, ()), (16, 1, FEW))
    directory = trained(
        machine,
        "experiment=cifar10_10pct", "data=arrays", f"data.path='{machine.data}'", f"data.classes=[{','.join(CLASSES)}]",
        "data.macro={vehicle: [0,1,8,9], animal: [2,3,4,5,6,7]}", f"data.fraction={fraction}",
        "encoder=" + machine.sized("preact_resnet18", "preact_resnet_small"), f"encoder.width={width}",
        f"trainer.max_epochs={epochs}", "engine=fast", "resume=auto", "skip_finished=true", *few, *RUNS[name],
        run=machine.runs / name.replace(", ", "-").replace(" ", "_"),
    )  # fmt: skip
    result = json.loads((directory / "result.json").read_text())
    return {"epochs": result["epochs"], "training (s)": round(result["durations"]["train"])} | {
        f"{checkpoint}, {view}": round(metrics[f"test/{view}/accuracy"], 4)
        for checkpoint, metrics in result["metrics"].items()
        for view in ("clean", "pgd20")
    }
