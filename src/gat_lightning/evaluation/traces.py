"""What is recorded while an attack goes through all batches, besides the outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gat_lightning.attacks.norms import Norm, sizes
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.evaluation.stages import Extent, Perturbed, Stage

Arrays = Mapping[str, NDArray[np.generic]]


class Source(NamedTuple):
    """Where the adversarial images of some rows of a batch are: rows ``kept`` of what an attack made of the batch."""

    attack: str
    batch: int
    rows: NDArray[np.intp]
    kept: NDArray[np.intp]


class Trace:
    """Record of the attack of one view.

    Args:
        clean: outcomes of the clean images, by batch.
        pixels: their :func:`pixel_range`, by batch.

    Attributes:
        seconds: that the attack took, those before an interruption included.
        stages: of an ensemble, one for each of its attacks.
        sources: the adversarial images that count, later ones in place of earlier ones.
        columns: values of each image by name, ``[n]``: of an ensemble ``stage``, the number of the stage that fooled
            the image, counted from 1; 0 if it is misclassified to begin with, and -1 if no stage fools it. Of a
            targeted attack ``target``, the class that it was moved towards; -1 if it was left as it is.
    """

    def __init__(self, clean: Sequence[Outcomes], pixels: Sequence[Arrays]) -> None:
        self.seconds = 0.0
        self.stages: list[Stage] = []
        self.sources: list[Source] = []
        self._clean = [part.correct for part in clean]
        self._stage = [np.where(correct, -1, 0).astype(np.int8) for correct in self._clean]
        self._attacked, self._zero = ([np.zeros(len(correct), bool) for correct in self._clean] for _ in range(2))
        self._target: list[NDArray[np.int64]] = []
        self._size = [np.zeros(len(correct), np.float32) for correct in self._clean]
        self._lowest, self._highest = ([part[end].copy() for part in pixels] for end in ("low", "high"))

    @property
    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Values of each image, by name."""
        parts: dict[str, Sequence[NDArray[np.generic]]] = {
            "stage": self._stage if self.stages else (),
            "target": self._target,
        }
        return {name: np.concatenate(found) for name, found in parts.items() if found}

    @property
    def of_stages(self) -> dict[str, NDArray[np.generic]]:
        """Values of each stage, by name."""
        names = ("attack", "left", "accuracy", "seconds") if self.stages else ()
        return {f"stage_{name}": np.array([getattr(stage, name) for stage in self.stages]) for name in names}

    @property
    def extent(self) -> Extent:
        """Of the images as they are after the attack."""
        return Extent(
            float(np.concatenate(self._size).max()),
            float(np.concatenate(self._highest).max()),
            float(np.concatenate(self._lowest).min()),
        )

    def begin(self, attack: str) -> None:
        """Begin a stage of an ensemble."""
        self.stages.append(Stage(attack))

    def add(
        self,
        attack: str,
        batch: int,
        rows: NDArray[np.intp],
        unit: Arrays,
        kept: NDArray[np.intp],
        left_alone: NDArray[np.bool_],
    ) -> None:
        """Add rows of a batch after an attack.

        Args:
            attack: its name.
            batch: number of the batch.
            rows: of the images that were attacked.
            unit: what :func:`measured` found, ``zero_gradient`` of a gradient attack, ``target`` of a targeted one.
            kept: which of these rows got the outcome of this attack.
            left_alone: which of them the attack does not look at, bool.
        """
        self.seconds += float(unit["seconds"])
        if "zero_gradient" in unit:
            self._attacked[batch][rows] |= ~left_alone
            self._zero[batch][rows] |= unit["zero_gradient"].astype(bool)
        if "target" in unit:
            self._target.append(unit["target"].astype(np.int64))
        self.sources.append(Source(attack, batch, rows[kept], kept))
        for values, name in ((self._size, "size"), (self._lowest, "low"), (self._highest, "high")):
            values[batch][rows[kept]] = unit[name][kept]

    def add_to_stage(self, batch: int, rows: NDArray[np.intp], unit: Arrays, correct: NDArray[np.bool_]) -> None:
        """Add to the stage that has begun what it left correct of all images of a batch."""
        stage, fallen = self.stages[-1], self._stage[batch]
        fooled = (fallen == -1) & ~correct
        fallen[fooled] = len(self.stages)
        stage.seconds += float(unit["seconds"])
        stage.batches.append(Perturbed(int(fooled.sum()), len(rows)))

    def end(self) -> None:
        """End the stage, after all batches."""
        left = np.concatenate(self._stage) == -1
        self.stages[-1].left, self.stages[-1].accuracy = int(left.sum()), float(left.mean())

    def share_of_zero(self) -> float | None:
        """Share of the attacked images with a zero gradient; None without an attacked image."""
        attacked, zero = np.concatenate(self._attacked), np.concatenate(self._zero)
        return float((attacked & zero).sum() / attacked.sum()) if attacked.any() else None


@torch.no_grad()
def measured(images: Tensor, adversarial: Tensor, norm: Norm) -> dict[str, NDArray[np.generic]]:
    """Size of each perturbation, and :func:`pixel_range` of each adversarial image; ``[B]`` each."""
    return {"size": sizes(adversarial - images, norm).float().cpu().numpy(), **pixel_range(adversarial)}


@torch.no_grad()
def pixel_range(images: Tensor) -> dict[str, NDArray[np.generic]]:
    """The lowest and highest pixel of each image; ``[B]`` each."""
    low, high = images.flatten(1).aminmax(dim=1)
    return {name: values.float().cpu().numpy() for name, values in (("low", low), ("high", high))}
