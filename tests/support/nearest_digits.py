"""A teacher that is never wrong on the bundled digits."""

import torch
from torch import Tensor, nn

from gat_lightning.data import Digits


class NearestDigit(nn.Module):
    """The class of the most similar training image, with a probability of almost 1."""

    def __init__(self) -> None:
        super().__init__()
        data = Digits(val_fraction=0.01)
        data.setup()
        train = data.split("train")
        self.register_buffer("images", train.images.flatten(1).float() / 255)
        self.register_buffer("classes", data.load().train.labels["class"])

    def forward(self, images: Tensor) -> Tensor:
        nearest = torch.cdist(images.flatten(1), self.images).argmin(1)
        return 50 * nn.functional.one_hot(self.classes[nearest], 10).float()
