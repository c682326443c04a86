"""The sweeps of ``conf/experiment/paper``: which there are, and which runs they make."""

from itertools import product
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.files import find_conf
from gat_lightning.reporting.paper.published import published, published_ids

IDS = published_ids()
OWN = [name for name in IDS if len(published(name).tables) == 1]
XRAYS = ("table10", "figure4", "figure6")
NO_ROW = ("seed", "recipe/stand_in")


def composed(table: str, *overrides: str, **settings: Any) -> DictConfig:
    words = [f"experiment=paper/{table}", "paths.run=run", *(["data.root=."] if table in XRAYS else []), *overrides]
    return compose("train", words, **settings)


def axes(table: str) -> dict[str, list[str]]:
    """The keys that tell the sweep's rows apart, with their values."""
    content = OmegaConf.load(find_conf() / "experiment" / "paper" / f"{table}.yaml")
    assert isinstance(content, DictConfig)
    first = content.defaults[0]
    found = axes(first.removeprefix("paper/")) if first.startswith("paper/") else {}
    params = OmegaConf.select(content, "hydra.sweeper.params", default={})
    return found | {str(key): params[key].split(",") for key in params if key not in NO_ROW}


def jobs(table: str) -> list[set[str]]:
    grid = axes(table)
    return [{f"{key}={value}" for key, value in zip(grid, each, strict=True)} for each in product(*grid.values())]
