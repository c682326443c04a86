import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers
from support.configurations import composed


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model that was not trained, with an auxiliary head."""
    config = composed("train", "experiment=quickstart", "encoder.width=4", "task=macro+rotation", "paths.run=.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build_module(config, build_data(config).info)
    content: dict[str, Any] = {"state_dict": module.state_dict(), "epoch": 0, "global_step": 0}
    module.on_save_checkpoint(content)
    path = tmp_path_factory.mktemp("runs") / "mine" / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(content, path)
    return path


@pytest.fixture
def hydra(tmp_path, monkeypatch):
    """An empty folder, in which Hydra composes."""
    monkeypatch.chdir(tmp_path)
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        yield tmp_path
    HydraConfig.instance().cfg = None


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """SLURM's commands as scripts that log what they are given; ``commands`` lists it, ``answer`` changes a script."""
    folder = tmp_path / "bin"
    folder.mkdir()

    class Slurm:
        log = tmp_path / "slurm.log"

        def answer(self, name, script):
            path = folder / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.log}\n{script}\n')
            path.chmod(0o755)

        @property
        def commands(self):
            return self.log.read_text().splitlines() if self.log.exists() else []

    played = Slurm()
    played.answer("sbatch", f"echo Submitted batch job $(grep -c ^sbatch {played.log})")
    for name in ("srun", "squeue", "scancel", "scontrol", "sinfo", "sacct"):
        played.answer(name, "exit 0")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return played
