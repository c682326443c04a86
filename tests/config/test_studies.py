"""The sweeps of ``conf/experiment/study``: arms are valid, and differ in what they are named after alone."""

from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.check import check
from gat_lightning.config.files import find_conf
from gat_lightning.runs.directory import run_name
from support.configurations import composed

STUDIES = sorted(path.stem for path in (find_conf() / "experiment" / "study").glob("*.yaml"))
FREE = {"method", "unlabeled", "awp", "data.unlabeled", "task"}
"""What the arms of a study are about."""


def arms(study: str) -> dict[str, DictConfig]:
    """The study's runs of one seed, with every arm and every task."""
    content = OmegaConf.load(find_conf() / "experiment" / "study" / f"{study}.yaml")
    axis = "task" if study == "tasks_unlabeled" else "recipe/arm"
    words = OmegaConf.select(content, "hydra.sweeper.params")[axis].split(",")
    return {word: composed("train", f"experiment=study/{study}", "paths.run=run", f"{axis}={word}") for word in words}


def held(config: DictConfig) -> dict[str, Any]:
    """All settings but those that an arm is about."""
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    settings["data"] = {key: value for key, value in settings["data"].items() if f"data.{key}" not in FREE}
    return {str(key): value for key, value in settings.items() if key not in FREE}


@pytest.mark.parametrize("arm", sorted(path.stem for path in (find_conf() / "recipe" / "arm").glob("*.yaml")))
def test_every_arm_is_valid(arm: str) -> None:
    check(composed("train", "experiment=study/few_labels_digits", "paths.run=run", f"recipe/arm={arm}"))


@pytest.mark.parametrize("study", STUDIES)
def test_arms_are_valid_and_differ_in_what_they_are_about(study: str) -> None:
    found = arms(study)
    first, *others = found.values()
    check(first)
    for arm, config in found.items():
        assert (config.data.unlabeled == "rest") == (config.unlabeled.mode != "auto"), arm
        assert config.data.epoch_images, "equal steps, whatever the number of images"
    assert all(held(other) == held(first) for other in others)
    assert len({run_name(config) for config in found.values()}) == len(found)
