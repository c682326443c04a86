"""What takes the place of downloads at ``paper.scale=smoke``: the experiment then only shows that it runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gat_lightning.data import Digits

_SETTINGS = (
    "target",
    "batch_size",
    "fraction",
    "val_fraction",
    "workers",
    "seed",
    "augment",
    "extra",
    "extra_fraction",
)


def digits(**settings: Any) -> Digits:
    """The bundled digits in place of another data set of 10 classes.

    Args:
        **settings: of that data set; those that the digits do not have, and its macro classes, are passed over.
    """
    return Digits(**{key: value for key, value in settings.items() if key in _SETTINGS})


class Brightness(nn.Module):
    """A teacher of ``task=depth`` in place of MiDaS: how bright a pixel is, ``[B, C, H, W]`` -> ``[B, H, W]``."""

    def forward(self, images: Tensor) -> Tensor:
        """The mean over the channels."""
        return images.mean(1)
