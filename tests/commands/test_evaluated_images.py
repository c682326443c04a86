"""``images=N`` of a class-sorted file draws each class with its share, the same for every model and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gat_lightning.commands.evaluate.settings import check_evaluation
from gat_lightning.errors import UserError
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.runs.settings_history import identity
from support.configurations import composed
from support.evaluations import evaluated

HERE = "++model._target_=commands.test_evaluated_images"
CLEAN = ["evaluation=clean", "pictures=false"]


class AlwaysFirst(nn.Module):
    """Says class 0 of three."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([1.0, 0, 0]).expand(len(images), 3) + 0 * images.flatten(1).sum(1, keepdim=True)


class AlwaysSecond(AlwaysFirst):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).roll(1, 1)


@pytest.fixture(scope="module")
def sorted_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred test images, sorted by class."""
    path = tmp_path_factory.mktemp("data") / "sorted.npz"
    rng = np.random.default_rng(0)
    labels = {"train": np.repeat([0, 1, 2], 10), "test": np.repeat([0, 1, 2], 100)}
    arrays = {f"{split}_labels": label for split, label in labels.items()}
    arrays |= {
        f"{split}_images": rng.integers(0, 256, (len(label), 8, 8, 1), dtype=np.uint8)
        for split, label in labels.items()
    }
    np.savez(path, **arrays)
    return path


def drawn(tmp_path: Path, file: Path, *overrides: str, model: str = "AlwaysFirst") -> tuple[dict[str, Any], list[int]]:
    result = evaluated(tmp_path, f"{HERE}.{model}", "data=arrays", f"data.path={file}", *CLEAN, *overrides)
    return result, Predictions.load(tmp_path / "predictions.npz").index.tolist()


def test_the_accuracy_is_that_of_all_classes(sorted_file: Path, tmp_path: Path) -> None:
    result, index = drawn(tmp_path, sorted_file, "images=30")
    assert result["metrics"]["model"]["test/clean/accuracy"] == pytest.approx(1 / 3)
    assert [sum(low <= position < low + 100 for position in index) for low in (0, 100, 200)] == [10, 10, 10]
    _, again = drawn(tmp_path / "again", sorted_file, "images=30", "seed=7", model="AlwaysSecond")
    assert again == index


def test_a_model_that_says_one_class_of_all_is_noted(sorted_file: Path, tmp_path: Path) -> None:
    """Of all three hundred images, and not where all images are of that class."""
    result, _ = drawn(tmp_path, sorted_file, "images=null")
    assert result["notes"] == ["clean: all 300 images are classified as '0', which is the label of 33.3% of them."]
    result, _ = drawn(tmp_path / "first", sorted_file, "images=first:30")
    assert result["notes"] == []


def test_the_first_images_are_for_leaderboards(sorted_file: Path, tmp_path: Path) -> None:
    result, index = drawn(tmp_path, sorted_file, "images=first:30")
    assert index == list(range(30))
    assert result["metrics"]["model"]["test/clean/accuracy"] == 1


def test_supplements_look_at_a_draw_too(sorted_file: Path, tmp_path: Path) -> None:
    """The first images of a class are all right, and of a draw a third."""
    result, _ = drawn(tmp_path, sorted_file, "images=null", "subset=30", "audit=true")
    assert result["audit"]["settings"]["images"] == 30
    assert result["audit"]["settings"]["clean_accuracy"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("value", ["0", "-3", "1.5", "true", "first", "first:", "first:0", "first:-2", "last:3", "[3]"])
def test_other_values_are_refused(value: str) -> None:
    config = composed("evaluate", f"{HERE}.AlwaysFirst", "data=digits", f"images={value}", "paths.run=run")
    with pytest.raises(UserError, match=r"images=.*whole number of at least 1, or first:N for the first N images\.$"):
        check_evaluation(config)


def test_earlier_evaluations_are_found_where_they_mean_the_same() -> None:
    """What told them apart were their settings as they stood: 12 were the first 12 images."""
    earlier = {"images": 12, "audit": False, "surrogate": None, "vulnerability": False}
    assert identity({**earlier, "images": "first:12"}) == earlier
    assert identity({**earlier, "images": None}) == {**earlier, "images": None}
    assert identity({**earlier, "images": 12}) not in (earlier, identity({**earlier, "images": 13}))
    for measure in ({"audit": True}, {"vulnerability": True}, {"surrogate": "a.ckpt"}):
        of_subset = {**earlier, "images": None, **measure}
        assert identity(of_subset) != of_subset
