"""The files of conf/data and conf/augment: complete, in step with the classes, one comment line above each key."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gat_lightning.augment import Identity, RandomCropFlip
from gat_lightning.data import CIFAR10, Arrays, Digits, Images

CONF = Path(__file__).parents[2] / "conf"
NOT_FOR_THE_DATA_MODULE = ("eps", "crop_padding", "flip", "views")
CLASSES = {"digits": Digits, "cifar10": CIFAR10, "arrays": Arrays, "images": Images}


def composed(data, augment="none"):
    return OmegaConf.create(
        {
            "seed": 7,
            "paths": {"data": "files"},
            "data": OmegaConf.load(CONF / "data" / f"{data}.yaml"),
            "augment": OmegaConf.load(CONF / "augment" / f"{augment}.yaml"),
        }
    )


@pytest.mark.parametrize("name", CLASSES)
def test_data_config_makes_its_class(name):
    config = composed(name)
    if name == "arrays":
        config.data.path = "mine.npz"
    if name == "images":
        config.data.root = "pictures"
    settings = {key: value for key, value in config.data.items() if key not in NOT_FOR_THE_DATA_MODULE}
    data = instantiate(settings)
    assert type(data) is CLASSES[name]
    assert data.seed == 7
    if name not in ("arrays", "images"):
        assert data.info == type(data)(**({"root": "files"} if name == "cifar10" else {})).info


@pytest.mark.parametrize("name", CLASSES)
def test_standard_augmentation_follows_the_data(name):
    config = composed(name, "standard")
    augment = instantiate(config.augment)
    assert isinstance(augment, RandomCropFlip)
    assert (augment.padding, augment.flip) == (config.data.crop_padding, config.data.flip)
    assert isinstance(instantiate(composed(name).augment), Identity)


@pytest.mark.parametrize(
    "path", sorted([*CONF.glob("data/*.yaml"), *CONF.glob("augment/*.yaml")]), ids=lambda p: p.stem
)
def test_every_key_has_a_comment_line(path):
    lines = path.read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith(("#", " ")):
            assert above.startswith("# "), line
