"""The strip of several models: what is written below each image is what the model answers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from gat_lightning.attacks import PGD
from gat_lightning.figures.strip import answers_under_attack

ATTACK = PGD(eps=0.2, steps=5, random_start="none")
IMAGES = torch.full((3, 1, 2, 2), 0.5)
IMAGES[0, 0, 0, 0] = 0.1


def looking_at_one_pixel(threshold: float) -> nn.Module:
    """A model that answers "on" where the first pixel is above the threshold."""
    linear = nn.Linear(4, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[-1.0, 0, 0, 0], [1.0, 0, 0, 0]]))
        linear.bias.copy_(torch.tensor([threshold, -threshold]))
    return nn.Sequential(nn.Flatten(), linear).eval()


@pytest.fixture
def models() -> dict[str, nn.Module]:
    """The attack turns the first one's answer to the third image; the second one withstands."""
    return {"weak": looking_at_one_pixel(0.35), "strong": looking_at_one_pixel(0.9)}


def test_each_answer_is_marked_right_or_wrong(
    tmp_path: Path, models: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: shown.append(figure))
    labels = torch.tensor([0, 0, 1])
    answers_under_attack(models, IMAGES, labels, ["off", "on"], ATTACK, tmp_path / "x.png", title="attacked")
    titles = [axes.get_title() for axes in shown[0].axes]
    assert titles[:3] == ["off", "off", "on"]
    assert titles[3:6] == ["off ✓", "on ✗", "off ✗"]
    assert titles[6:] == ["off ✓", "off ✓", "off ✗"]
    assert [axes.get_ylabel() for axes in shown[0].axes[::3]] == [
        "clean image",
        "weak\n1 of 3 right",
        "strong\n2 of 3 right",
    ]


def test_it_fits_the_head_of_a_page(tmp_path: Path, models: dict[str, nn.Module]) -> None:
    labels = torch.tensor([0, 0, 1])
    three = {**models, "third": models["weak"]}
    path = answers_under_attack(three, IMAGES, labels, ["off", "on"], ATTACK, tmp_path / "x.png", title="attacked")
    with Image.open(path) as image:
        width, height = image.size
    assert height / width * 720 == pytest.approx(300, abs=10)


def test_long_names_do_not_run_into_each_other(
    tmp_path: Path, models: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: shown.append(figure))
    eight, labels = IMAGES[1:2].expand(8, -1, -1, -1), torch.ones(8, dtype=torch.long)
    answers_under_attack(models, eight, labels, ["automobile", "on"], ATTACK, tmp_path / "x.png", title="attacked")
    shown[0].draw_without_rendering()
    below = [axes.title.get_window_extent() for axes in shown[0].axes[16:]]
    assert [axes.get_title() for axes in shown[0].axes[16:]] == ["automobile ✗"] * 8
    assert all(left.x1 < right.x0 for left, right in pairwise(below))
