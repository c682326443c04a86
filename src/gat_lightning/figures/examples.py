"""Adversarial examples as rows of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gat_lightning.attacks import Attack, ClassifierProblem
from gat_lightning.batch import decide, decision_name
from gat_lightning.randomness import BatchGenerator, Shard

COLUMNS = ("label", "clean", "predicted", "confidence", "adversarial", "predicted then", "confidence then")
_SMALLEST_SIDE = 96


def adversarial_examples(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    attack: Attack,
    problem: type[ClassifierProblem] = ClassifierProblem,
) -> list[list[Any]]:
    """A row of :data:`COLUMNS` for each image; pictures are uint8 ``[H, W, 3]``, confidences in [0, 1].

    Args:
        model: a single-task classifier in eval mode.
        images: ``[n, C, H, W]`` in [0, 1].
        labels: true classes ``[n]``.
        classes: names of the classes.
        attack: attack on the model.
        problem: makes the attack problem of a model and labels; ``BinaryProblem`` for models with one logit.
    """
    decision = problem(model, labels)
    adversarial = attack(decision, images, BatchGenerator(Shard.whole(len(images)), "gallery"))
    said = []
    for shown in (images, adversarial):
        with torch.no_grad():
            logits = decision.logits(shown)
        said.append((shown, decide(logits).tolist(), logits.softmax(1).amax(1).tolist()))
    rows: list[list[Any]] = [[classes[label]] for label in labels.tolist()]
    for shown, predictions, confidences in said:
        for row, image, prediction, certainty in zip(rows, shown, predictions, confidences, strict=True):
            row += [as_picture(image), decision_name(classes, prediction), certainty]
    return rows


def as_picture(image: Tensor) -> np.ndarray:
    """Convert an image ``[C, H, W]`` in [0, 1] to uint8 ``[H, W, 3]``; the pixels of small images are repeated."""
    pixels = (255 * image.detach().cpu().clamp(0, 1)).round().byte().expand(3, -1, -1).permute(1, 2, 0).numpy()
    factor = -(-_SMALLEST_SIDE // min(pixels.shape[:2]))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
