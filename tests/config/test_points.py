"""Points of a sweep, each composed once: equal to what Hydra composes."""

import random

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from gat_lightning.config.files import find_conf
from gat_lightning.config.points import Points
from gat_lightning.config.resolvers import register_resolvers

CHOICES = [
    ("seed", "0", "1", "2"),
    ("optimizer.lr", "0.1", "1e-3", "null"),
    ("name", "a", "'größe'", "'with space'"),
    ("task", "none", "macro", "macro+rotation"),
    ("weighting", "equal", "mgda_floor"),
    ("paper.row", "[a,b]", "[]"),
    ("+note", "1", "text"),
    ("attack", "pgd", "mim"),
    ("attack.steps", "3", "5"),
    ("data.fraction", "0.5", "${seed}"),
    ("hydra.job.name", "x", "y"),
    ("experiment", "digits", "quickstart"),
]


@pytest.fixture
def loader():
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def test_points_are_what_hydra_composes(loader):
    draw = random.Random(0)
    for _ in range(2):
        swept = draw.sample(CHOICES, 4)
        config = loader.load_configuration("train", ["seed=7"], RunMode.MULTIRUN)
        points = Points(loader, config)
        for _ in range(3):
            overrides = [f"{name}={draw.choice(values)}" for name, *values in swept]
            expected = loader.load_sweep_config(config, overrides)
            assert OmegaConf.to_yaml(points(overrides)) == OmegaConf.to_yaml(expected), overrides


def test_points_that_differ_in_values_are_composed_once(loader, monkeypatch):
    composed = []
    compose = type(loader).load_sweep_config
    monkeypatch.setattr(
        type(loader),
        "load_sweep_config",
        lambda self, config, words: composed.append(words) or compose(self, config, words),
    )
    points = Points(loader, loader.load_configuration("train", [], RunMode.MULTIRUN))
    for task in ("none", "macro"):
        for lr in (0.1, 0.2, 0.3):
            for seed in range(3):
                config = points([f"task={task}", f"optimizer.lr={lr}", f"seed={seed}"])
                assert (list(config.task), config.optimizer.lr, config.seed) == ([task][task == "none" :], lr, seed)
                assert config.hydra.overrides.task == [f"task={task}", f"optimizer.lr={lr}", f"seed={seed}"]
    assert len(composed) == 2
