"""Files of adversarial images, each checked again as it is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gat_lightning.attacks import Attack
from gat_lightning.attacks.norms import sizes, within
from gat_lightning.evaluation.outcomes import joined, measure
from gat_lightning.evaluation.predictions import Predictions, write_arrays
from gat_lightning.evaluation.robustness import Evaluation
from gat_lightning.evaluation.rounding import TYPES, pixels
from gat_lightning.evaluation.target import Target


class FileCheck(NamedTuple):
    """What a file of adversarial images holds.

    Attributes:
        file: its name, relative to the run.
        dtype: ``uint8`` or ``float16``.
        images: number of images.
        outside: number of images outside the ball or outside [0, 1], after rounding.
        largest: size of the largest perturbation, after rounding.
        changed: number of images of which the classifier says something else than before rounding.
        metrics: of the images in the file.
    """

    file: str
    dtype: str
    images: int
    outside: int
    largest: float
    changed: int
    metrics: dict[str, float]

    def told(self, view: str, attack: Attack) -> str:
        """The check in a sentence."""
        where = f"within {attack.norm.name} {attack.eps} and [0, 1]"
        inside = f"all are {where}" if not self.outside else f"{self.outside} are not {where}"
        differ = "1 decision differs" if self.changed == 1 else f"{self.changed or 'no'} decisions differ"
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return (
            f"{view}: {self.images} images as {self.dtype} in {self.file}. Read back, {inside} (the largest"
            f" perturbation is {self.largest:.5f}), and {differ} from those before rounding: {shown}."
        )


def save_adversarial(
    evaluation: Evaluation, target: Target, predictions: Predictions, view: str, attack: Attack, path: Path, size: int
) -> FileCheck:
    """Write the adversarial images of a view, and check what was written.

    The file has ``images`` (``[n, C, H, W]``, uint8 of 0 to 255 or float16 of 0 to 1), and ``index``, ``labels``,
    ``prediction``, ``norm`` and ``eps``. Images are kept in uint8 if no decision of the classifier and no image's
    place in the ball suffers, and in float16 otherwise.

    Args:
        evaluation: after the attack, with its images.
        target: the classifier.
        predictions: of the evaluation.
        view: of the attack.
        attack: the attack.
        path: of the file.
        size: images in a batch.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for dtype in TYPES:
        arrays = {"images": evaluation.adversarial(view, dtype), "norm": attack.norm.name, "eps": float(attack.eps)}
        said = predictions.views[view].prediction
        own = {"index": predictions.index, "labels": predictions.labels, "prediction": said}
        write_arrays(path, {name: np.asarray(values) for name, values in {**arrays, **own}.items()})
        check = _read_back(evaluation, target, predictions, view, attack, path, size)
        if not (check.outside or check.changed):
            break
    return check


def _read_back(
    evaluation: Evaluation, target: Target, predictions: Predictions, view: str, attack: Attack, path: Path, size: int
) -> FileCheck:
    with np.load(path, allow_pickle=False) as file:
        found: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
    parts, outside, largest = [], 0, 0.0
    for start in range(0, len(found["images"]), size):
        rows = slice(start, start + size)
        clean, labels = evaluation.clean(rows)
        images = pixels(torch.from_numpy(found["images"][rows]).to(clean.device))
        in_box = ((images >= 0) & (images <= 1)).flatten(1).all(1)
        outside += int((~(within(images - clean, attack.norm, attack.eps) & in_box)).sum())
        largest = max(largest, float(sizes(images - clean, attack.norm).max()))
        parts.append(target.outcomes(images, labels))
    outcomes, before = joined(parts), predictions.views[view]
    if predictions.kind == "regression":
        changed = ~np.isclose(outcomes.prediction.astype(float), before.prediction.astype(float), rtol=1e-3, atol=1e-3)
    else:
        changed = outcomes.prediction != before.prediction
    name = f"{path.parent.name}/{path.name}"
    metrics = measure(predictions.kind, outcomes, predictions.labels)
    return FileCheck(name, str(found["images"].dtype), len(before.loss), outside, largest, int(changed.sum()), metrics)
