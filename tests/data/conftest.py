import pytest
import torch

from gat_lightning.data import DataInfo, ImageDataModule, LabelInfo, LabelledImages, Splits


class Toy(ImageDataModule):
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
