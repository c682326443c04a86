"""Outcomes that part by rounding are told from those that part by anything else."""

from __future__ import annotations

import torch
from benchmarks.ties import Pass, parted_by_rounding, ties
from torch import Tensor, nn


def passes(*rows: tuple[float, float, float]) -> list[Pass]:
    """Of image, logit and gradient."""
    return [Pass(*(torch.full((2,), value) for value in row)) for row in rows]


def test_rounding_before_the_images_part() -> None:
    one = passes((0.1, 1.0, 0.5), (0.2, 1.0, 0.5))
    assert parted_by_rounding((one, passes((0.1, 1.000001, 0.5), (0.3, 7.0, 0.9))))
    assert parted_by_rounding((one, passes((0.1, 1.0, 0.500001), (0.3, 7.0, 0.9))))


def test_other_outputs_for_the_same_image_are_no_rounding() -> None:
    one = passes((0.1, 1.0, 0.5), (0.2, 1.0, 0.5))
    assert not parted_by_rounding((one, passes((0.1, 1.01, 0.5), (0.3, 1.0, 0.5))))
    assert not parted_by_rounding((one, passes((0.1, 1.0, 0.6), (0.3, 1.0, 0.5))))


def test_images_that_part_after_equal_outputs_are_no_rounding() -> None:
    one = passes((0.1, 1.0, 0.5), (0.2, 1.0, 0.5))
    assert not parted_by_rounding((one, passes((0.1, 1.0, 0.5), (0.3, 1.0, 0.5))))


class Scaled(nn.Module):
    """Two logits, the second scaled."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        first = images.flatten(1)
        return torch.stack([first[:, 0], self.scale * first[:, 1]], 1)


def one_step(model: nn.Module, images: Tensor) -> None:
    """Ascend along the gradient, and look at the result."""
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(images).sum(), images)
    with torch.no_grad():
        model(images + 0.01 * gradient)


def test_ties_are_counted_image_by_image() -> None:
    clean = torch.rand(3, 1, 1, 2, generator=torch.Generator().manual_seed(0))
    for scale, expected in ((1 + 1e-6, 2), (1.1, 0)):
        models = (Scaled(1.0), Scaled(scale))
        found = ties(models, lambda model: one_step(model, clean), clean, torch.tensor([0, 2]), eps=0.02)
        assert found == expected
