"""The commands ``train`` and ``evaluate``, run in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import mkdtemp

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.gpu.machine import Machine
from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.train.run import run as train
from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.runs.result import Result


def trained(machine: Machine, *overrides: str, run: Path | None = None) -> Path:
    """The directory of a training on this machine; a new one unless ``run`` is one."""
    run = run or Path(mkdtemp(dir=machine.folder))
    accelerator = "trainer.accelerator=" + machine.sized("gpu", "cpu")
    with _quiet():
        train(_composed("train", run, accelerator, *overrides))
    return run


def evaluated(machine: Machine, checkpoint: Path, *overrides: str) -> Result:
    """The result of an evaluation on this machine."""
    run = Path(mkdtemp(dir=machine.folder))
    device = f"device={machine.device.type}"
    with _quiet():
        return evaluate(_composed("evaluate", run, f"checkpoint='{checkpoint}'", device, *overrides))


def _composed(command: str, run: Path, *overrides: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        return compose(command, [*overrides, f"paths.output='{run.parent}'", f"paths.run='{run}'"])


@contextmanager
def _quiet() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield
