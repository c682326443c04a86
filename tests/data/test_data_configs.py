"""The files of conf/data and conf/augment: complete, in step with the classes, one comment line above each key."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gat_lightning.augment import Identity, RandomAffine, RandomCropFlip
from gat_lightning.data import CIFAR10, NIH, ROBIN, STL10, Arrays, CheXpert, Digits, Images
from gat_lightning.info import DataInfo

CONF = Path(__file__).parents[2] / "conf"
NOT_FOR_THE_DATA_MODULE = ("eps", "crop_padding", "flip", "affine", "views")
CLASSES = {
    "digits": Digits,
    "cifar10": CIFAR10,
    "stl10": STL10,
    "arrays": Arrays,
    "images": Images,
    "chexpert": CheXpert,
    "nih": NIH,
    "robin": ROBIN,
}
IN_STEP = {"digits": {}, "cifar10": {"root": "files"}, "stl10": {"root": "files"}}
"""Whose info needs no files, and the settings that have no default."""


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
    if name in ("images", "chexpert", "nih", "robin"):
        config.data.root = "pictures"
    settings = {key: value for key, value in config.data.items() if key not in NOT_FOR_THE_DATA_MODULE}
    data = instantiate(settings)
    assert type(data) is CLASSES[name]
    assert data.seed == 7
    if name in IN_STEP:
        assert data.info == type(data)(**IN_STEP[name]).info


@pytest.mark.parametrize("name", CLASSES)
def test_standard_augmentation_follows_the_data(name):
    config = composed(name, "standard")
    augment = instantiate(config.augment)
    if name in ("chexpert", "nih"):
        assert isinstance(augment, RandomAffine)
    else:
        assert isinstance(augment, RandomCropFlip)
        assert (augment.padding, augment.flip) == (config.data.crop_padding, config.data.flip)
    assert isinstance(instantiate(composed(name).augment), Identity)


def test_affine_augmentation_config():
    augment = instantiate(composed("nih", "affine").augment)
    assert isinstance(augment, RandomAffine)
    assert vars(augment) == vars(RandomAffine())


@pytest.mark.parametrize("label", ["age", "gender"])
def test_the_other_labels_of_a_chest_x_ray_have_files(label):
    config = OmegaConf.load(CONF / "task" / f"{label}.yaml")
    task = instantiate(config[label])
    assert list(config) == [task.name] == [label]
    for data in (CheXpert(root="x"), NIH(root="x")):
        task.setup(DataInfo("x", (1, 8, 8), (0.5,), (0.5,), data.labels()))
        assert task.kind == data.labels()[label].kind


@pytest.mark.parametrize(
    "path", sorted([*CONF.glob("data/*.yaml"), *CONF.glob("augment/*.yaml")]), ids=lambda p: p.stem
)
def test_every_key_has_a_comment_line(path):
    lines = path.read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith(("#", " ")):
            assert above.startswith("# "), line
