"""Classes that are given as ``data._target_`` and cannot be trained on."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from gat_lightning.config.build import build_data
from gat_lightning.config.check import check
from gat_lightning.data import ArrayDataModule, DataInfo, LabelInfo, LabelledImages, Splits
from gat_lightning.errors import UserError
from support.configurations import composed


class Ordinary(pl.LightningDataModule):
    def __init__(self, batch_size=32):
        super().__init__()

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(8, 3, 4, 4))


class Own(ArrayDataModule):
    def describe(self):
        return DataInfo("own", (1, 8, 8), (0.5,), (0.5,), {"class": LabelInfo(("a", "b"))})

    def load(self):
        images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8))
        return Splits(*[LabelledImages(images, {"class": torch.arange(40) % 2})] * 2)


def ordinary(augment=None):
    return Ordinary()


MESSAGE = (
    r"data\._target_=.*: (\w+) is not a gat_lightning\.data\.ImageDataModule and lacks .*describe, .*info, .*split, .*"
    r"augmented.*\. Derive it from gat_lightning\.data\.ArrayDataModule and define describe\(\) and load\(\)"
)


@pytest.mark.parametrize("data_set", [f"{__name__}.Ordinary", "torchvision.datasets.FakeData"])
@pytest.mark.parametrize("name", ["train", "statistics"])
def test_another_class_is_refused_before_its_settings_are_looked_at(data_set, name):
    with pytest.raises(UserError, match=MESSAGE):
        check(composed(name, f"data._target_={data_set}", "paths.run=run"))


def test_what_a_function_returns_is_refused_too():
    config = composed("train", "paths.run=run", "data=digits")
    config.data = {"_target_": f"{__name__}.ordinary"}
    with pytest.raises(UserError, match=MESSAGE):
        build_data(config)


def test_a_data_module_of_ones_own_is_taken():
    config = composed("train", "paths.run=run", "data=digits", f"data._target_={__name__}.Own", "task=none")
    config.data.macro = None
    check(config)
    data = build_data(config)
    data.setup()
    assert len(data.split("test")) == 40
