"""The twelve figures of a training."""

import math

from gat_lightning.commands.train.summary import summary
from gat_lightning.runs.result import TrainingResult

ROWS = [
    {"step": "10", "images_per_second": "100.0"},
    {"step": "19", "val/selection": "0.2", "images_per_second": ""},
    {"step": "20", "weight/target_adversarial": "0.4", "images_per_second": "300.0", "peak_memory_gib": "1.5"},
    {"step": "29", "val/selection": "0.6"},
    {"step": "30", "images_per_second": "200.0", "peak_memory_gib": "2.5"},
    {"step": "39", "val/selection": "0.5"},
    {"step": "40", "weight/target_adversarial": "0.3"},
]


def test_a_training_has_its_twelve_figures(quickstart):
    figures = quickstart[1]["summary"]
    assert len(figures) == 12
    assert all(math.isfinite(value) for value in figures.values())
    assert figures["best_robust"] == quickstart[1]["metrics"]["best"]["test/pgd2/accuracy"]


def test_figures_are_of_the_rows_and_of_the_strongest_attack():
    best = {"epoch": 2, "test/clean/accuracy": 0.9, "test/fgsm/accuracy": 0.7, "test/pgd20/accuracy": 0.5}
    last = {"epoch": 4, "test/clean/accuracy": 0.8, "test/fgsm/accuracy": 0.3, "test/pgd20/accuracy": 0.4}
    result = TrainingResult(config={}, durations={"total": 7200.0}, metrics={"best": best, "last": last}, epochs=4)
    assert summary(result, ROWS) == {
        "epochs": 4, "best_epoch": 2, "best_selection": 0.6, "last_selection": 0.5,
        "best_clean": 0.9, "best_robust": 0.5, "last_clean": 0.8, "last_robust": 0.3,
        "adversarial_share": 0.3, "hours": 2.0, "images_per_second": 200.0, "peak_memory_gib": 2.5,
    }  # fmt: skip


def test_of_errors_the_highest_is_the_worst_and_what_is_missing_is_none():
    errors = {"epoch": 1, "test/clean/mae": 4.0, "test/fgsm/mae": 6.0, "test/pgd20/mae": 9.0}
    figures = summary(TrainingResult(config={}, durations={"total": 1.0}, metrics={"best": errors}), [])
    assert (figures["best_clean"], figures["best_robust"]) == (4.0, 9.0)
    assert figures["last_robust"] is figures["best_selection"] is figures["peak_memory_gib"] is None
