"""``experiment=recommended`` and ``recommended_cpu``: what they choose, and the kept results that they name."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gat_lightning.config.check import check
from gat_lightning.config.files import find_conf
from support.configurations import composed

ROOT = Path(__file__).parents[2]
NAMES = ("recommended", "recommended_cpu")


@pytest.mark.parametrize("name", NAMES)
def test_results_that_it_names_are_kept(name: str) -> None:
    text = (find_conf() / "experiment" / f"{name}.yaml").read_text()
    named = re.findall(r"results/\w+", text)
    assert named
    assert all(list((ROOT / each).glob("*/result.json")) for each in named)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_for_any_data_with_classes(name: str) -> None:
    assert "/data" not in (find_conf() / "experiment" / f"{name}.yaml").read_text()
    check(composed("train", f"experiment={name}", "data=digits", "paths.run=run", "trainer.accelerator=cpu"))


def test_without_a_gpu_all_is_the_same_but_the_size() -> None:
    both = [
        OmegaConf.to_container(composed("train", f"experiment={name}", "data=digits", "paths.run=run"))
        for name in NAMES
    ]
    for config in both:
        assert isinstance(config, dict)
        for key in ("name", "encoder"):
            del config[key]
        for key in ("max_epochs", "accelerator"):
            del config["trainer"][key]
    assert both[0] == both[1]
