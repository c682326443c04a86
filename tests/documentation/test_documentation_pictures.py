"""The pictures of the documentation are those that ``make pictures`` makes, and those of kept results are of today."""

from __future__ import annotations

import make_pictures
import numpy as np
import pytest
from matplotlib.image import imread

from support.documents import REPOSITORY

DRAWN_BY_HAND = {"step.svg"}
OF_KEPT_RESULTS = ("digits_factors", "overfitting")


def test_each_picture_is_made_and_shown():
    there = {path.name for path in make_pictures.PICTURES.iterdir()}
    assert there == {f"{name}.png" for name in make_pictures.MAKERS} | DRAWN_BY_HAND
    pages = "".join(page.read_text() for page in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])
    assert [name for name in sorted(there) if f"pictures/{name})" not in pages] == []


@pytest.mark.parametrize("name", OF_KEPT_RESULTS)
def test_pictures_of_kept_results_are_of_today(name, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    drawn, shown = imread(make_pictures.MAKERS[name](tmp_path)), imread(make_pictures.PICTURES / f"{name}.png")
    assert drawn.shape == shown.shape
    assert np.abs(drawn - shown).mean() < 0.005  # other versions of matplotlib smooth letters differently
