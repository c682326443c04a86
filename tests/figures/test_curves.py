"""The learning curves of a run."""

import csv
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from matplotlib.image import imread

from gat_lightning.figures.curves import curves
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.training.callbacks import Curves, sparing
from gat_lightning.training.module import GATModule


def rows(count):
    found = []
    for step in range(1, count + 1):
        found.append({"epoch": str(step // 10), "step": str(step), "lr": str(0.1 / step)})
        for name, loss in (("class/clean", 2 / step), ("class/adv", 3 / step)):
            found[-1] |= {f"objective/{name}": str(loss), f"weight/{name}": "0.5"}
        if step % 10 == 9:
            robust = 0.5 - abs(step - 19) / 100
            scores = {"val/clean/accuracy": "0.9", "val/pgd10/accuracy": str(robust), "val/selection": str(robust)}
            found.append({"epoch": str(step // 10), "step": str(step), **scores})
    return found


def test_it_draws_objectives_weights_scores_and_the_rate_over_epochs():
    figure = curves(rows(40), 10)
    objectives, weights, scores, rate = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "objectives", "share of each objective in the weight", "validation", "learning rate",
    ]  # fmt: skip
    clean, adversarial = objectives.get_lines()
    np.testing.assert_allclose(clean.get_xdata(), np.arange(1, 41) / 10)
    np.testing.assert_allclose(adversarial.get_ydata(), 3 / np.arange(1, 41))
    assert len(weights.collections) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["class/clean", "class/adv"]
    assert [line.get_label() for line in scores.get_lines()] == [
        "clean accuracy", "pgd10 accuracy", "best.ckpt (epoch 2)",
    ]  # fmt: skip
    np.testing.assert_allclose(scores.get_lines()[1].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(rate.get_lines()[0].get_ydata(), 0.1 / np.arange(1, 41))


def test_of_many_rows_means_are_drawn():
    line = curves(rows(1000), 100).axes[0].get_lines()[0]
    assert len(line.get_xdata()) <= 400
    np.testing.assert_allclose(line.get_ydata()[-1], np.mean(2 / np.array([1000])), rtol=0.01)


@pytest.mark.parametrize("few", [[], [{"epoch": "0", "step": "0", "val/selection": "0.1"}]])
def test_without_a_row_of_objectives_there_is_nothing_to_draw(few):
    assert curves(few, 10) is None


def test_a_run_has_its_picture(quickstart):
    directory, result = quickstart
    assert "images/curves.png" in result["files"]["images"]
    assert imread(RunDirectory(directory).curves).shape[:2] == (700, 1000)


def test_it_is_drawn_anew_after_each_epoch_by_rank_0_alone(tmp_path):
    directory, module = RunDirectory(tmp_path), Mock(spec=GATModule, method=SimpleNamespace(replays=1))
    told = rows(10)
    pictures = []
    for count in (5, 9):
        with directory.metrics.open("w", newline="") as file:
            writer = csv.DictWriter(file, told[-1].keys() | told[0].keys())
            writer.writeheader()
            writer.writerows(told[:count])
        for first in (False, True):
            trainer = SimpleNamespace(is_global_zero=first, default_root_dir=str(tmp_path), num_training_batches=10)
            trainer.current_epoch = trainer.global_step = count
            Curves().on_train_epoch_end(trainer, module)
            pictures.append(directory.curves.read_bytes() if directory.curves.is_file() else None)
    assert pictures[0] is None
    assert pictures[1] == pictures[2] != pictures[3]


def test_work_is_due_in_each_of_the_first_epochs_and_then_takes_a_twentieth_of_the_time(monkeypatch):
    now = 0.0
    monkeypatch.setattr(sparing.time, "perf_counter", lambda: now)
    work, done = sparing.Sparing(), []
    for epoch in range(300):
        now += 1
        if work.is_due(SimpleNamespace(current_epoch=epoch)):
            done.append(epoch)
            with work.work():
                now += 1
    assert done[:100] == list(range(100))
    assert 9 <= len(done[100:]) <= 11
