"""The commands on a GPU: every path once, with CUDA's own list of synchronisations; NCCL; images per second."""

from __future__ import annotations

import csv
import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.findings import Findings
from benchmarks.gpu_machine import Machine
from gat_lightning import distributed
from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.train.run import run as train
from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers

WATCHED_STEP = 2
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
    "attacks, audit, vulnerability": (
        "evaluation=pgd20+square+fab+apgd_ce+apgd_t", "evaluation.square.attack.queries=50",
        "evaluation.fab.attack.steps=5", "evaluation.apgd_ce.attack.steps=5", "evaluation.apgd_t.attack.steps=5",
        "audit=true", "vulnerability=true",
    ),
    "L2, curve": (
        "evaluation=pgd20", "attack.norm=L2", "attack.eps=0.5", "vulnerability=true", "curve.eps=[0.2,0.5]"
    ),
}  # fmt: skip
COLLECTIVES = {
    "exact": (TWO,),
    "weight perturbation, channels-last": (TWO, "awp.gamma=0.01", "engine.channels_last=true"),
    "free": ("task=none", "method=free"),
    "representation, penalty": (TWO, "engine.space=representation", "curvature.mode=penalty"),
    "moving average": (TWO, "callbacks=default+ema"),
}


class Watch(pl.Callback):
    """Counts CUDA's warnings of synchronisations and of non-deterministic operations in one training step.

    Args:
        path: of the counts, as JSON.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._warnings: warnings.catch_warnings[Any] | None = None
        self._seen: list[warnings.WarningMessage] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Begin with the step."""
        if batch_idx == WATCHED_STEP and trainer.strategy.root_device.type == "cuda":
            self._warnings = warnings.catch_warnings(record=True)
            self._seen = self._warnings.__enter__()
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write what the step has warned of."""
        if self._warnings is None:
            return
        torch.cuda.set_sync_debug_mode("default")
        self._warnings.__exit__(None, None, None)
        self._warnings = None
        counts = Counter(f"{Path(each.filename).name}:{each.lineno} {str(each.message)[:90]}" for each in self._seen)
        self._path.write_text(json.dumps(counts))


def every_path(findings: Findings, machine: Machine) -> None:
    """Each training variant for three steps, a resumed training, and two evaluations."""
    for name, overrides in VARIANTS.items():
        if not findings.has_time("commands", machine.sized(260, 0)):
            break
        watched, began = machine.folder / f"{name}.json", time.perf_counter()
        watch = (f"+callbacks.watch._target_={__name__}.{Watch.__name__}", f"+callbacks.watch.path='{watched}'")
        with findings.attempt("commands", name) as found:
            _train(machine, name, *_fitting(overrides), *overrides, *watch)
            found["duration (s)"] = round(time.perf_counter() - began, 1)
            found["watched"] = json.loads(watched.read_text()) if watched.is_file() else {}
    checkpoints = machine.folder / "exact" / "checkpoints"
    with findings.attempt("commands", "resumed"):
        _train(machine, "resumed", *SMALL, TWO, "trainer.max_epochs=2", f"resume='{checkpoints / 'last.ckpt'}'")
    for name, overrides in EVALUATIONS.items():
        device = f"device={machine.device.type}"
        given = (f"checkpoint='{checkpoints / 'best.ckpt'}'", "images=64", "batch_size=32", device, *overrides)
        with findings.attempt("commands", name), _quiet():
            evaluate(_composed(machine, "evaluate", name, *given))


def collectives(findings: Findings, machine: Machine) -> None:
    """Every collective of several ranks on NCCL, in a group of one process."""
    if not machine.is_gpu or not dist.is_nccl_available():
        findings.say("collectives", "skipped", reason="no NCCL")
        return
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    dist.init_process_group("nccl", rank=0, world_size=1, device_id=machine.device)
    try:
        with patch.object(distributed, "_several_ranks", lambda: True):
            for name, overrides in COLLECTIVES.items():
                with findings.attempt("collectives", name):
                    _train(machine, f"collectives, {name}", *SMALL, *overrides)
            objects = [(True, None)]
            seconds = machine.seconds(lambda: dist.broadcast_object_list(objects, 0), 50)
            findings.say("collectives", "broadcast of an object", microseconds=round(1e6 * seconds))
    finally:
        dist.destroy_process_group()


def throughput(findings: Findings, machine: Machine) -> None:
    """Images per second of the command itself on arrays of CIFAR-10's size, as it logs them."""
    size, steps, width = machine.sized((50_000, 60, 64), (400, 2, 4))
    path = machine.folder / "arrays.npz"
    _write_arrays(path, {"train": size, "test": 200})
    common = (
        "data=arrays", f"data.path='{path}'", "data.macro={v: [0,1,8,9], a: [2,3,4,5,6,7]}", TWO, "curvature.mode=off",
        "encoder=preact_resnet18", f"encoder.width={width}", "trainer.max_epochs=1", "+trainer.limit_val_batches=1",
        f"+trainer.limit_train_batches={steps}", "+trainer.limit_test_batches=1", "trainer.precision=bf16-mixed",
        f"engine.channels_last={str(machine.is_gpu).lower()}", f"trainer.log_every_n_steps={max(1, steps // 3)}",
    )  # fmt: skip
    for name, overrides in {
        "deterministic": ("trainer.deterministic=warn",),
        "not deterministic": ("trainer.deterministic=false", "+trainer.benchmark=true"),
        "without attack": ("trainer.deterministic=false", "+trainer.benchmark=true", "method=standard"),
    }.items():
        with findings.attempt("throughput", name) as found:
            _train(machine, f"throughput, {name}", *common, *overrides)
            rates = [row["images_per_second"] for row in _metrics(machine.folder / f"throughput, {name}")]
            found["images per second"] = [float(rate) for rate in rates if rate]


def _write_arrays(path: Path, counts: dict[str, int]) -> None:
    """Images of noise in ten classes, so many of each split, as ``data=arrays`` reads them."""
    random, arrays = np.random.default_rng(0), {}
    for split, count in counts.items():
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % 10
    np.savez(path, **arrays)


def _metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def _fitting(overrides: tuple[str, ...]) -> list[str]:
    """:data:`SMALL` without what the attack of a variant does not have."""
    return [each for each in SMALL if not ("attack=square" in overrides and each.startswith("attack.steps"))]


def _train(machine: Machine, name: str, *overrides: str) -> None:
    accelerator = "trainer.accelerator=" + machine.sized("gpu", "cpu")
    with _quiet():
        train(_composed(machine, "train", name, accelerator, *overrides))


def _composed(machine: Machine, command: str, name: str, *overrides: str) -> DictConfig:
    register_resolvers()
    run = machine.folder / name
    run.mkdir()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        return compose(command, [*overrides, f"paths.output='{machine.folder}'", f"paths.run='{run}'"])


@contextmanager
def _quiet() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield
