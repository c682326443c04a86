"""A classifier whose last layer is a ``Linear``."""

from collections.abc import Sequence

from torch import nn

from gat_lightning import Normalize


class SmallNetwork(nn.Sequential):
    """One convolution and one linear layer, for images in [0, 1].

    Args:
        num_classes: number of outputs.
        image: ``(C, H, W)``.
        mean: of each channel.
        std: of each channel.
        width: number of filters.
    """

    def __init__(
        self,
        num_classes: int,
        image: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        width: int = 8,
    ) -> None:
        super().__init__(
            Normalize(mean, std),
            nn.Conv2d(image[0], width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Linear(16 * width, num_classes),
        )
