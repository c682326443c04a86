from pathlib import Path
from typing import Any

import pytest
import torch

from gat_lightning.config.build import build_data, build_module
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
