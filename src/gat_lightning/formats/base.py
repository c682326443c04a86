"""A file format for a classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from gat_lightning.formats.description import Description


class Format(ABC):
    """Export format: writes a classifier into one self-contained file, and reads it back.

    Attributes:
        suffix: suffix of the file name.
        tolerance: largest difference between the file's and the classifier's logits that counts as rounding, relative
            to the largest logit if that is above 1.
    """

    suffix: ClassVar[str]
    tolerance: ClassVar[float]

    @abstractmethod
    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        """Write the classifier (in eval mode, on the CPU) and its description.

        Raises:
            UserError: a package is missing, or the format does not support the classifier.
        """

    @abstractmethod
    def read(self, path: Path) -> Callable[[Tensor], Tensor]:
        """Read the file as a function from images ``[B, C, H, W]`` in [0, 1] to the output ``[B, K]``, for any B.

        Raises:
            UserError: a package is missing, or the file cannot be read.
        """

    @abstractmethod
    def usage(self, path: Path, description: Description) -> str:
        """Python code that uses the file."""
