"""An encoder whose outputs do not depend on the other images of a batch."""

from typing import Any

from torch import nn


def plain_encoder(num_classes: int, image: tuple[int, int, int], **_: Any) -> nn.Module:
    """Two layers for images of pixels in [0, 1]."""
    channels, height, width = image
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, stride=2, padding=1),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(4 * (height // 2) * (width // 2), num_classes),
    )
