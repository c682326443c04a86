"""Jigsaw puzzle: prediction of the permutation of the image's pieces."""

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gat_lightning.info import DataInfo
from gat_lightning.tasks.pixel_permutation import PixelPermutationTask, pixel_grid
from gat_lightning.validate import check_int

_CANDIDATES = 64


class Jigsaw(PixelPermutationTask):
    """Jigsaw puzzle (Noroozi & Favaro, 2016; paper, section 5.1: 16 pieces).

    Args:
        grid: pieces along each side; the image's sides must be divisible by it.
        permutations: how many permutations there are to tell apart, the identity (label 0) included.
        seed: of the permutations alone. They are the same in every run and evaluation, whatever the run's seed.

    Raises:
        SettingError: fewer than 2 permutations, or more than there are.
    """

    name = "jigsaw"

    def __init__(self, grid: int = 4, permutations: int = 10, seed: int = 0) -> None:
        self.grid = check_int("grid", grid, 2)
        self._image: tuple[int, int] | None = None
        self.permutations = distant_permutations(grid * grid, permutations, seed)

    def setup(self, data: DataInfo) -> None:
        """Check that the image can be cut into equal pieces.

        Raises:
            ValueError: it cannot.
        """
        _, height, width = data.image
        if height % self.grid or width % self.grid:
            raise ValueError(
                f"Jigsaw cuts images into {self.grid} x {self.grid} pieces, and the {height} x {width} pixels of"
                f" '{data.name}' are not divisible by {self.grid}: set grid to a divisor of both."
            )
        self._image = (height, width)
        super().setup(data)

    def sources(self, height: int, width: int) -> Tensor:
        """Long ``[permutations, H * W]``."""
        rows, columns = height // self.grid, width // self.grid
        pieces = pixel_grid(height, width).view(self.grid, rows, self.grid, columns).transpose(1, 2).flatten(0, 1)
        scrambled = pieces[self.permutations].unflatten(1, (self.grid, self.grid))
        return scrambled.transpose(2, 3).flatten(1)

    def state(self) -> dict[str, Tensor]:
        """The permutations, long ``[permutations, grid * grid]``."""
        return {"permutations": self.permutations}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Use a checkpoint's permutations.

        Raises:
            ValueError: they are for another grid or of another number.
        """
        permutations = state["permutations"].cpu()
        if permutations.shape != self.permutations.shape:
            raise ValueError(
                f"The checkpoint's jigsaw has {list(permutations.shape)} permutations x pieces, this run's has"
                f" {list(self.permutations.shape)}; set permutations and grid as it has them."
            )
        self.permutations = permutations
        if self._image is not None:
            self._sources = self.sources(*self._image)


def distant_permutations(pieces: int, count: int, seed: int) -> Tensor:
    """``count`` permutations, the identity first, as far from each other in Hamming distance as the greedy rule finds.

    Each next one is the best, by its smallest distance to those chosen, of a set of random minimum-overlap assignments.
    For ``count <= pieces`` any two differ in every place, the largest distance there is.

    Returns:
        The piece that goes to each place, long ``[count, pieces]``.

    Raises:
        SettingError: ``count`` is below 2 or above the number of permutations of ``pieces``.
    """
    check_int("permutations", count, 2, math.factorial(min(pieces, 12)))
    random = np.random.default_rng(seed)
    chosen = [np.arange(pieces)]
    used = np.eye(pieces)
    while len(chosen) < count:
        candidates = [linear_sum_assignment(used + random.random(used.shape) / pieces)[1] for _ in range(_CANDIDATES)]
        candidates.append(random.permutation(pieces))
        distances = [min(int((candidate != other).sum()) for other in chosen) for candidate in candidates]
        best = int(np.argmax(distances))
        if distances[best] > 0:
            chosen.append(candidates[best])
            used[np.arange(pieces), candidates[best]] += 1
    return torch.from_numpy(np.stack(chosen)).long()
