"""A data set in memory: bars of three directions and two widths."""

from typing import Any

import torch

from gat_lightning import (
    ArrayDataModule,
    DataInfo,
    LabelInfo,
    LabelledImages,
    Splits,
)

SIZE = 12


class Bars(ArrayDataModule):
    """Bright bars on a dark ground, 12 x 12 pixels.

    Args:
        images: number of training images; half as many are for testing.
        **settings: those of every data set in memory.
    """

    def __init__(self, *, images: int = 1000, **settings: Any) -> None:
        super().__init__(**settings)
        self.images = images

    def describe(self) -> DataInfo:
        """Name, image shape, statistics of the pixels, and the labels."""
        pixels = self.load().train.images / 255
        labels = {
            "class": LabelInfo(("horizontal", "vertical", "diagonal")),
            "thickness": LabelInfo(("thin", "thick")),
        }
        mean, std = pixels.mean().item(), pixels.std().item()
        return DataInfo("bars", (1, SIZE, SIZE), (mean,), (std,), labels)

    def load(self) -> Splits:
        """Images uint8 ``[N, 1, 12, 12]`` and labels ``[N]``."""
        return Splits(bars(self.images, seed=0), bars(self.images // 2, seed=1))


def bars(count: int, seed: int) -> LabelledImages:
    """Draw bars at random places, with noise."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randint(3, (count,), generator=generator)
    thick = torch.randint(2, (count,), generator=generator)
    place = 6 * torch.rand(count, 1, 1, generator=generator) - 3
    noise = torch.rand(count, SIZE, SIZE, generator=generator)
    places = torch.arange(SIZE) - (SIZE - 1) / 2
    y, x = torch.meshgrid(places, places, indexing="ij")
    across = torch.stack([y, x, (y - x) / 2**0.5])[direction]
    bar = (across - place).abs() < (1 + thick)[:, None, None]
    images = (200 * bar + 50 * noise).to(torch.uint8)[:, None]
    return LabelledImages(images, {"class": direction, "thickness": thick})
