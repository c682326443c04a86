"""What the rest of the program needs to know of a data set before it sees an image."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LabelInfo:
    """One label that a data set has for its images.

    Attributes:
        classes: names of the classes, in the order of their indices.
    """

    classes: tuple[str, ...]


@dataclass(frozen=True)
class DataInfo:
    """Shape of the images and the labels that come with them.

    Attributes:
        name: the data set, as messages call it.
        image: ``(C, H, W)``.
        mean: per channel, of pixels in [0, 1], for the model's normalisation layer.
        std: likewise.
        labels: the labels in a batch, by name.
    """

    name: str
    image: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: dict[str, LabelInfo] = field(default_factory=dict)
