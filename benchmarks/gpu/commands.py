"""The commands on a GPU: every path of a training and of an evaluation once, with few images and steps."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.gpu.launch import evaluated, trained
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.watch import Watch

SMALL = (
    "data=digits", "data.batch_size=64", "encoder=preact_resnet_small", "encoder.width=16", "trainer.max_epochs=1",
    "+trainer.limit_train_batches=3", "+trainer.limit_val_batches=1", "+trainer.limit_test_batches=1",
    "attack.steps=3", "validation.attack.steps=3", "test.attack.steps=3",
)  # fmt: skip
TWO = "task=macro+rotation"
VARIANTS: dict[str, tuple[str, ...]] = {
    "exact": (TWO,),
    "separate views": (TWO, "data.views=separate"),
    "jigsaw": ("task=jigsaw",),
    "dense": ("task=hog+rotation+autoencoder",),
    "finite differences": (TWO, "curvature.derivative=finite_difference"),
    "penalty, central": (
        TWO, "curvature.mode=penalty", "curvature.derivative=finite_difference", "curvature.scheme=central"
    ),
    "without curvature": (TWO, "curvature.mode=off"),
    "representation, micro-batches": (
        TWO, "curvature.mode=off", "engine.space=representation", "engine.micro_batch=20"
    ),
    "micro-batches": (TWO, "engine.micro_batch=20"),
    "bf16, channels-last": (TWO, "trainer.precision=bf16-mixed", "engine.channels_last=true"),
    "engine=fast": (TWO, "engine=fast"),
    "engine=fast, compiled": (TWO, "engine=fast", "engine.compile=true"),
    "TF32": (TWO, "engine.tf32=true"),
    "solved every second step": (TWO, "curvature.every=2", "engine.solve_every=2"),
    "FAMO": (TWO, "weighting=famo", "curvature.mode=off"),
    "float64": (TWO, "trainer.precision=64-true"),
    "weight perturbation, clipping, skipping": (TWO, "awp.gamma=0.01", "engine.clip_norm=1", "on_nan=skip"),
    "averages": (TWO, "callbacks=default+ema+swa", "callbacks.swa.rule.start=0"),
    "CutMix": ("task=macro", "augment=cutmix"),
    "MaxUp": ("task=macro", "augment=maxup"),
    "affine": ("task=macro", "augment=affine"),
    "L2": ("task=none", "attack.norm=L2", "attack.eps=0.5"),
    "L1": ("task=none", "attack.norm=L1", "attack.eps=2"),
    "attack in train mode": ("task=none", "attack.mode=train"),
    "MIM, all tasks": (TWO, "attack=mim", "attack.tasks=all"),
    "Square": ("task=none", "attack=square", "attack.queries=5"),
    "workers": (TWO, "data.workers=2"),
    "AdamW, Nash-MTL": (TWO, "optimizer=adamw", "weighting=nash_mtl"),
    "self-supervised": ("task=rotation", "method=self_supervised"),
    **{
        method: (TWO, f"method={method}")
        for method in ("madry_separate", "standard", "fgsm", "trades", "mart", "fast", "free", "fat")
    },
}  # fmt: skip
EVALUATIONS = {
    "engine=fast, compiled": (
        "evaluation=pgd20+square+apgd_ce", "evaluation.square.attack.queries=50", "evaluation.apgd_ce.attack.steps=5",
        "engine=fast", "engine.compile=true",
    ),
    "attacks, audit, vulnerability": (
        "evaluation=pgd20+square+fab+apgd_ce+apgd_t", "evaluation.square.attack.queries=50",
        "evaluation.fab.attack.steps=5", "evaluation.apgd_ce.attack.steps=5", "evaluation.apgd_t.attack.steps=5",
        "audit=true", "vulnerability=true",
    ),
    "L2, curve": (
        "evaluation=pgd20", "attack.norm=L2", "attack.eps=0.5", "vulnerability=true", "curve.eps=[0.2,0.5]"
    ),
}  # fmt: skip


def training(machine: Machine, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Three steps of a training, in the last of which CUDA's warnings are counted."""
    watched = Path(mkdtemp(dir=machine.folder)) / "watched.json"
    watch = (f"+callbacks.watch._target_={Watch.__module__}.{Watch.__qualname__}",)
    trained(machine, *_fitting(overrides), *overrides, *watch, f"+callbacks.watch.path='{watched}'")
    found: dict[str, Any] = json.loads(watched.read_text())
    return found


def resumed(machine: Machine) -> dict[str, Any]:
    """A second epoch, from the checkpoint after the first."""
    last = _checkpoints(machine) / "last.ckpt"
    run = trained(machine, *SMALL, TWO, "trainer.max_epochs=2", f"resume='{last}'")
    return {"epochs": json.loads((run / "result.json").read_text())["epochs"]}


def evaluation(machine: Machine, overrides: tuple[str, ...]) -> dict[str, Any]:
    """An evaluation of few images, and the accuracies that it found."""
    checkpoint = _checkpoints(machine) / "best.ckpt"
    result = evaluated(machine, checkpoint, "images=64", "batch_size=32", *overrides)
    (metrics,) = result.metrics.values()
    return {"metrics": {name: value for name, value in metrics.items() if name.endswith("accuracy")}}


@cache
def _checkpoints(machine: Machine) -> Path:
    """Of a short training."""
    return trained(machine, *SMALL, TWO) / "checkpoints"


def _fitting(overrides: tuple[str, ...]) -> list[str]:
    """:data:`SMALL` without what the attack of a variant does not have."""
    return [each for each in SMALL if not ("attack=square" in overrides and each.startswith("attack.steps"))]
