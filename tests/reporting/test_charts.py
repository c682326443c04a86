"""What a report's figures show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from gat_lightning.reporting import curves, fronts
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import collect
from gat_lightning.runs.metric_names import MetricName
from support.run_records import training


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures, in place of their files."""
    found: list[Figure] = []
    for module in (curves, fronts):
        monkeypatch.setattr(module, "saved", lambda figure, path: found.append(figure) or path)
    return found


def front(tmp_path: Path, *scores: tuple[float, float]) -> None:
    for number, (clean, robust) in enumerate(scores):
        path = training(tmp_path, str(number), typed=[f"task={number}"], task=number) / "result.json"
        path.write_text(path.read_text().replace(": 0.9", f": {clean}").replace(": 0.5", f": {robust}"))
    groups = group(collect([tmp_path])[0])
    clean, robust = (MetricName("test", view, "accuracy") for view in ("clean", "pgd20"))
    fronts.front(groups, clean, robust, "best", tmp_path / "front.png")


@pytest.mark.parametrize(("second", "line"), [((0.8, 0.4), False), ((0.8, 0.6), True)])
def test_a_front_of_one_point_has_no_line(
    tmp_path: Path, drawn: list[Figure], second: tuple[float, float], line: bool
) -> None:
    front(tmp_path, (0.9, 0.5), second)
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert ("Pareto front of the means" in names) == line
    assert len(drawn[0].axes[0].lines) == line


def test_numbers_lie_beside_the_points_as_they_are_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    scores = [(0.9 + 0.002 * number, 0.5 - 0.002 * number) for number in range(6)]
    front(tmp_path, (0.3, 0.1), *scores, (0.2, 0.05), (0.25, 0.08))
    figure = drawn[0]
    figure.draw_without_rendering()
    (axes,) = figure.axes
    points = np.array([axes.transData.transform(text.xy) for text in axes.texts])
    for text in axes.texts:
        extent = text.get_window_extent()
        centre = np.array([extent.x0 + extent.x1, extent.y0 + extent.y1]) / 2
        assert np.hypot(*(points - centre).T).min() > 0.08 * figure.dpi, text.get_text()


def test_a_curve_of_one_epoch_is_seen(tmp_path: Path, drawn: list[Figure]) -> None:
    (training(tmp_path, "run") / "metrics.csv").write_text("epoch,val/clean/accuracy\n0,0.5\n")
    curves.learning_curves(group(collect([tmp_path])[0]), tmp_path)
    (line,) = drawn[0].axes[0].lines
    assert line.get_xydata().tolist() == [[1, 0.5]]
    assert line.get_marker() == "o"
    assert all(place == int(place) for place in drawn[0].axes[0].get_xticks())
