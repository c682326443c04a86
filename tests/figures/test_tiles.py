"""Images with texts, wrapped for narrow screens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from gat_lightning.attacks import PGD
from gat_lightning.figures.gallery import adversarial_gallery, show_image, tiles


@pytest.mark.parametrize(
    ("images", "longest", "beside", "blocks"),
    [(8, 6, 4, 2), (5, 6, 4, 2), (8, 15, 3, 3), (3, 200, 1, 3), (2, 6, 2, 1)],
)
def test_images_that_do_not_fit_are_below(images: int, longest: int, beside: int, blocks: int) -> None:
    figure, axes = tiles(["clean", "attacked"], images, longest)
    for image in range(images):
        for row in range(2):
            show_image(axes[row, image], torch.full((1, 4, 4), 0.5), f"{row} {image}")
    figure.draw_without_rendering()
    places = [axes[0, image].get_position() for image in range(images)]
    assert len({round(place.x0, 6) for place in places}) == beside
    assert len({round(place.y0, 6) for place in places}) == blocks
    for image, place in enumerate(places):
        below = axes[1, image].get_position()
        assert below.y1 < place.y0
        assert below.x0 == pytest.approx(place.x0)
    texts = [each.get_title() for each in figure.axes if each.axison]
    assert sorted(texts) == sorted(f"{row} {image}" for row in range(2) for image in range(images))


def test_a_gallery_is_narrow_enough_for_a_phone(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 10)).eval()
    labels = torch.arange(8)
    path = adversarial_gallery(
        model, torch.rand(8, 1, 4, 4), labels, [f"class {i}" for i in range(10)],
        PGD(eps=0.1, step_size=2),
        tmp_path / "gallery.png",
    )  # fmt: skip
    with Image.open(path) as image:
        inches = image.width / 140
    assert 9 / 72 * 96 * (358 / 96) / inches > 9, "letters of 9 points, in pixels, on a screen of 390"
