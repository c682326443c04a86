"""Random rotation, translation and scaling."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gat_lightning.augment.base import Augmentation
from gat_lightning.validate import check_real


class RandomAffine(Augmentation):
    """Turn, shift and scale each image around its centre, all uniformly at random; bilinear, with zeros around.

    With the defaults it is what the paper's authors did to X-rays.

    Args:
        degrees: largest angle in either direction, 0 to 180.
        translate: largest shift as a part of the height and of the width, 0 to 1.
        scale: largest change of the scale, at least 0 and below 1.

    Raises:
        SettingError: an argument is out of its range.

    Shape:
        images ``[B, C, H, W]`` -> ``[B, C, H, W]``, values in [0, 1] stay in [0, 1]; drawn values ``[N, 4]``: the
        clockwise angle, the shifts down and to the right, and the change of the scale, each in [-1, 1] as a part of its
        largest value.
    """

    def __init__(self, degrees: float = 45.0, translate: float = 0.15, scale: float = 0.15) -> None:
        self.degrees = check_real("degrees", degrees, 0, 180)
        self.translate = check_real("translate", translate, 0, 1)
        self.scale = check_real("scale", scale, 0, 1, closed="left")

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """Parts of the largest values, float ``[samples, 4]``."""
        return 2 * torch.rand(samples, 4, generator=generator) - 1

    def __call__(self, images: Tensor, values: Tensor) -> Tensor:
        """Move all images at once."""
        height, width = images.shape[2:]
        angle, down, right, scale = values.unbind(1)
        angle, scale = angle * math.radians(self.degrees), 1 + scale * self.scale
        cos, sin = angle.cos() / scale, angle.sin() / scale
        down, right = 2 * self.translate * down, 2 * self.translate * right
        # From places in the result to places in the image, in half widths and half heights.
        rows = (
            torch.stack([cos, sin * height / width, -cos * right - sin * down * height / width], 1),
            torch.stack([-sin * width / height, cos, sin * right * width / height - cos * down], 1),
        )
        grid = affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
        return grid_sample(images, grid.to(images.dtype), align_corners=False).clamp(0, 1)
