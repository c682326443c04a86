"""Attacks on images of half precision: what is added to the images is kept in float32."""

import copy
from typing import Any

import torch
from torch import Tensor

from gat_lightning.attacks.problem import Problem

HALF = (torch.float16, torch.bfloat16)
"""Types in which a step or a projection would be rounded by more than a hundredth of a usual radius."""


def in_precision(problem: Problem, dtype: torch.dtype) -> Problem:
    """The same problem for float32 images, which it rounds to ``dtype``.

    A copy whose ``loss``, ``logits`` and ``success``, as far as the problem has them, round what they are given.
    """

    def rounding(method: Any) -> Any:
        return lambda self, images, *rest: method(self, images.to(dtype), *rest)

    kind = type(problem)
    names = [name for name in ("loss", "logits", "success", "decision_loss") if hasattr(kind, name)]
    rounded = copy.copy(problem)
    rounded.__class__ = type(kind.__name__, (kind,), {name: rounding(getattr(kind, name)) for name in names})
    return rounded


def rounded_towards(images: Tensor, adversarial: Tensor) -> Tensor:
    """float32 ``adversarial`` in the type of ``images``: no pixel is rounded away from that of ``images``."""
    found = adversarial.to(images.dtype)
    beyond = (found.float() - images.float()).abs() > (adversarial - images.float()).abs()
    back = torch.where(beyond, (images - found).sign(), 0).to(torch.int16)
    return (found.view(torch.int16) + back).view(images.dtype)  # numbers of one sign are in the order of their bits
