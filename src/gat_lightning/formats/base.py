"""A file format for a classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from gat_lightning.formats.description import Description


class Format(ABC):
    """Writes a classifier into one file, and reads it again without anything but that file.

    Attributes:
        suffix: of the file's name.
        tolerance: largest difference between the file's logits and the classifier's that is no more than rounding,
            relative to the largest logit where that is above 1.
    """

    suffix: ClassVar[str]
    tolerance: ClassVar[float]

    @abstractmethod
    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        """Write the classifier (in eval mode, on the CPU) with its description.

        Raises:
            UserError: a package is missing, or the classifier cannot be written so.
        """

    @abstractmethod
    def read(self, path: Path) -> Callable[[Tensor], Tensor]:
        """A function from images ``[B, C, H, W]`` in [0, 1], for any B, to the target's output ``[B, K]``.

        Raises:
            UserError: a package is missing, or the file cannot be read.
        """

    @abstractmethod
    def usage(self, path: Path, description: Description) -> str:
        """A few lines of Python that use the file."""
