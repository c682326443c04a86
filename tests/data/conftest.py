import pytest
import torch
from picture_folders import save

from gat_lightning.data import ArrayDataModule, LabelledImages, Splits
from gat_lightning.info import DataInfo, LabelInfo


class Toy(ArrayDataModule):
    """110 + 23 random colour images of 5x4 pixels in 3 uneven classes; every image differs."""

    def describe(self) -> DataInfo:
        return DataInfo("toy", (3, 5, 4), (0.5,) * 3, (0.25,) * 3, {"class": LabelInfo(("ant", "bee", "cat"))})

    def load(self) -> Splits:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (133, 3, 5, 4), generator=generator, dtype=torch.uint8)
        labels = torch.randint(5, (133,), generator=generator).clamp(max=2)
        return Splits(
            LabelledImages(images[:110], {"class": labels[:110]}), LabelledImages(images[110:], {"class": labels[110:]})
        )


@pytest.fixture
def toy():
    def make(**settings) -> Toy:
        data = Toy(**settings)
        data.setup()
        return data

    return make


@pytest.fixture
def one_folder(tmp_path):
    """Uneven classes ant (30), bee (20) and cat (10) in one folder."""
    root = tmp_path / "one"
    for name, count in (("ant", 30), ("bee", 20), ("cat", 10)):
        for number in range(count):
            save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def two_folders(tmp_path):
    """Classes ant and bee, 10 pictures each in train and 3 in test."""
    root = tmp_path / "two"
    for split, count in (("train", 10), ("test", 3)):
        for name in ("ant", "bee"):
            for number in range(count):
                save(root / split / name / f"{split} {number:02}.png")
    return root
