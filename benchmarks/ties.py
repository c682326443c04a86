"""Whether two runs of an attack part by rounding: until they see different images, their outputs are equal to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ROUNDING = 1e-5
"""Largest difference of logits, relative to the largest logit, that counts as rounding."""
GRADIENT_ROUNDING = 1e-3
"""The same of gradients, in the Euclidean norm."""


@dataclass
class Pass:
    """What a classifier was shown of an image, and what it gave: one row of a pass."""

    image: Tensor
    logits: Tensor
    gradient: Tensor | None = None


class Recorder(nn.Module):
    """A classifier that records its passes of one image, which is recognised by its distance.

    Args:
        model: the classifier.
        clean: the image ``[C, H, W]``.
        eps: radius of the attack in L-infinity; the clean images of a batch are further apart.
    """

    def __init__(self, model: nn.Module, clean: Tensor, eps: float) -> None:
        super().__init__()
        self.model, self.clean, self.eps = model, clean, eps
        self.passes: list[Pass] = []

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits = self.model(images)
        near = (images.detach() - self.clean).abs().flatten(1).amax(1) <= 1.001 * self.eps
        for row in near.nonzero().flatten().tolist():
            kept = Pass(images[row].detach().clone(), logits[row].detach().clone())
            self.passes.append(kept)
            if images.requires_grad:
                images.register_hook(lambda gradient, kept=kept, row=row: setattr(kept, "gradient", gradient[row]))
        return logits


def parted_by_rounding(runs: tuple[list[Pass], list[Pass]]) -> bool:
    """Whether passes before the first of another image differ, and by rounding alone."""
    rounded = False
    for one, other in zip(*runs, strict=False):
        if not torch.equal(one.image, other.image):
            break
        rounded |= not torch.equal(one.logits, other.logits)
        if (one.logits - other.logits).abs().amax() > ROUNDING * one.logits.abs().amax().clamp(min=1):
            return False
        if one.gradient is not None and other.gradient is not None:
            rounded |= not torch.equal(one.gradient, other.gradient)
            if (one.gradient - other.gradient).norm() > GRADIENT_ROUNDING * one.gradient.norm():
                return False
    return rounded


def ties(
    models: tuple[nn.Module, nn.Module],
    attack: Callable[[nn.Module], object],
    clean: Tensor,
    differing: Tensor,
    eps: float,
) -> int:
    """How many of the images with different outcomes parted by rounding.

    Args:
        models: the classifier in two ways to compute it.
        attack: runs the same attack with the same random numbers on all images.
        clean: the images ``[B, C, H, W]``.
        differing: rows with different outcomes.
        eps: radius of the attack in L-infinity.
    """
    count = 0
    for row in differing.tolist():
        runs = []
        for model in models:
            recorder = Recorder(model, clean[row], eps)
            attack(recorder)
            runs.append(recorder.passes)
        count += parted_by_rounding((runs[0], runs[1]))
    return count
