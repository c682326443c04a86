"""Where images belong to patients, patients are what is resampled and compared."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from gat_lightning.commands.compare import run as compare_command
from gat_lightning.evaluation.outcomes import Outcomes, auroc
from gat_lightning.evaluation.predictions import Predictions, score
from gat_lightning.evaluation.robustness import Evaluation
from gat_lightning.evaluation.statistics import accuracy_interval, bootstrap_interval, compare, mcnemar, wilson_interval
from gat_lightning.evaluation.target import Target
from gat_lightning.runs.metric_names import MetricName
from support.configurations import composed
from support.trained_digits import subset, task, trained


def clustered(rng: np.random.Generator, patients: int, share: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Patients of 1 to 9 images, and which images are right: of each patient mostly all or none."""
    groups = np.repeat(np.arange(patients), rng.integers(1, 10, patients))
    chance = rng.beta(share, 1 - share, patients)
    return groups, rng.random(len(groups)) < chance[groups]


def patient_bootstrap(statistic: Any, groups: np.ndarray, *arrays: np.ndarray, resamples: int = 1000) -> np.ndarray:
    """An independent one, in a few lines."""
    rng = np.random.default_rng(5)
    rows = [np.flatnonzero(groups == patient) for patient in np.unique(groups)]
    values = []
    for _ in range(resamples):
        drawn = np.concatenate([rows[patient] for patient in rng.integers(0, len(rows), len(rows))])
        values.append(statistic(*(array[drawn] for array in arrays)))
    return np.quantile(values, [0.025, 0.975])


def test_patients_of_one_image_change_nothing() -> None:
    rng = np.random.default_rng(0)
    correct, other, patients = rng.random(150) < 0.8, rng.random(150) < 0.7, rng.permutation(150) + 7
    assert accuracy_interval(correct, patients) == pytest.approx(wilson_interval(int(correct.sum()), 150), abs=1e-12)
    assert accuracy_interval(np.ones(9, bool), np.arange(9)) == pytest.approx(wilson_interval(9, 9), abs=1e-12)
    for size in (150, 30):
        alone, grouped = mcnemar(correct[:size], other[:size]), mcnemar(correct[:size], other[:size], patients[:size])
        assert (grouped.statistic, grouped.p_value) == (alone.statistic, alone.p_value)


@pytest.mark.parametrize("copies", [2, 10])
@pytest.mark.parametrize("right", [0, 31, 40])
def test_copies_of_an_image_say_nothing_new(copies: int, right: int) -> None:
    correct = np.arange(40) < right
    repeated, patients = correct.repeat(copies), np.arange(40).repeat(copies)
    assert accuracy_interval(repeated, patients) == pytest.approx(wilson_interval(right, 40), abs=1e-12)


def test_the_interval_is_as_wide_as_a_bootstrap_over_patients() -> None:
    for seed in range(3):
        groups, correct = clustered(np.random.default_rng(seed), 300)
        low, high = accuracy_interval(correct, groups)
        expected = patient_bootstrap(np.mean, groups, correct)
        assert high - low == pytest.approx(expected[1] - expected[0], rel=0.12)
        over_images = wilson_interval(int(correct.sum()), len(correct))
        assert high - low > 1.5 * (over_images.high - over_images.low)


def test_the_interval_covers_the_true_accuracy() -> None:
    rng = np.random.default_rng(1)
    over_patients = over_images = 0
    for _ in range(600):
        groups, correct = clustered(rng, 80)
        low, high = accuracy_interval(correct, groups)
        over_patients += low <= 0.7 <= high
        low, high = wilson_interval(int(correct.sum()), len(correct))
        over_images += low <= 0.7 <= high
    assert 0.92 < over_patients / 600 < 0.98
    assert over_images / 600 < 0.8


def test_auroc_and_errors_are_resampled_by_patients() -> None:
    rng = np.random.default_rng(2)
    groups, labels = clustered(rng, 150, 0.4)
    scores = labels + rng.normal(0, 1.5, 150)[groups] + rng.normal(0, 0.3, len(groups))
    low, high = bootstrap_interval(auroc, labels, scores, strata=labels, groups=groups, resamples=500)
    expected = patient_bootstrap(roc_auc_score, groups, labels, scores, resamples=500)
    assert (low, high) == pytest.approx(expected, abs=0.25 * (expected[1] - expected[0]))
    alone = bootstrap_interval(auroc, labels, scores, strata=labels, resamples=500)
    assert high - low > 1.3 * (alone.high - alone.low)
    errors = bootstrap_interval(np.mean, scores, groups=groups, resamples=500)
    assert errors == pytest.approx(patient_bootstrap(np.mean, groups, scores), abs=0.1)


def test_a_resample_without_a_positive_is_not_drawn() -> None:
    """Only one of thirty patients has positives."""
    groups, labels = np.arange(30).repeat(2), np.zeros(60, dtype=int)
    labels[10:12] = 1
    interval = bootstrap_interval(auroc, labels, np.arange(60.0), strata=labels, groups=groups, resamples=200)
    assert np.isfinite(interval).all()


def test_mcnemar_of_few_patients_is_the_exact_permutation_test() -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        groups = np.repeat(np.arange(8), rng.integers(1, 5, 8))
        first, second = rng.random(len(groups)) < 0.8, rng.random(len(groups)) < 0.4
        difference = [int(first[groups == k].sum()) - int(second[groups == k].sum()) for k in range(8)]
        sums = [abs(np.dot(signs, difference)) for signs in product((-1, 1), repeat=8)]
        found = mcnemar(first, second, groups)
        assert found.kind == "exact"
        assert found.p_value == pytest.approx(np.mean(np.array(sums) >= abs(sum(difference))))
        assert found.patients == 8


def test_mcnemar_keeps_its_level_with_patients() -> None:
    """Two models of equal accuracy, each right or wrong about most images of a patient together."""
    rng = np.random.default_rng(4)
    by_patients, by_images = [], []
    for _ in range(500):
        groups, first = clustered(rng, 60)
        second = rng.random(len(groups)) < rng.beta(0.7, 0.3, 60)[groups]
        by_patients.append(mcnemar(first, second, groups).p_value < 0.05)
        by_images.append(mcnemar(first, second).p_value < 0.05)
    assert 0.02 < np.mean(by_patients) < 0.07
    assert np.mean(by_images) > 0.2


def test_mcnemar_finds_a_difference_between_patients() -> None:
    rng = np.random.default_rng(6)
    groups, first = clustered(rng, 200, 0.8)
    second = rng.random(len(groups)) < rng.beta(0.6, 0.4, 200)[groups]
    assert mcnemar(first, second, groups).p_value < 0.01
    found = compare({"a": first, "b": second}, groups=groups)
    assert "chi-square over 200 patients" in found.text()
    assert found.to_dict()["pairs"][0]["patients"] == 200


@pytest.mark.parametrize("groups", [[0, 1], [[0, 1, 2]]])
def test_a_group_for_every_image(groups: Any) -> None:
    with pytest.raises(ValueError, match="group"):
        mcnemar([True, False, True], [True, True, True], groups)
    with pytest.raises(ValueError, match="group"):
        accuracy_interval([True, False, True], groups)
    with pytest.raises(ValueError, match="groups"):
        bootstrap_interval(np.mean, [1, 2, 3], groups=groups)


def test_an_evaluation_keeps_patients_as_consecutive_numbers_and_their_intervals(tmp_path: Path) -> None:
    patients = torch.tensor([64540, 11, 999]).repeat_interleave(20)
    evaluation = Evaluation(Target(trained(), task()), subset("multiclass"), batch_size=16, groups=patients)
    predictions = evaluation.predictions
    assert predictions.groups is not None
    assert predictions.groups.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    predictions.save(tmp_path / "predictions.npz")
    loaded = Predictions.load(tmp_path / "predictions.npz")
    assert np.array_equal(loaded.groups, predictions.groups)
    assert loaded.patients == 3
    name = MetricName("test", "clean", "accuracy")
    correct = loaded.views["clean"].correct
    assert score(loaded, "test").intervals[name] == list(accuracy_interval(correct, loaded.groups))
    some = Evaluation(
        Target(trained(), task()), subset("multiclass"), images=torch.tensor([3, 25, 26, 50]), groups=patients
    )
    assert some.predictions.groups.tolist() == [0, 1, 1, 2]


def test_the_command_compares_patients(tmp_path: Path, capsys: Any) -> None:
    rng = np.random.default_rng(8)
    groups, first = clustered(rng, 100)
    for name, correct in (("a", first), ("b", rng.random(len(groups)) < 0.6)):
        zeros = np.zeros(len(groups), dtype=np.float32)
        views = {"clean": Outcomes(zeros.astype(np.int64), correct, zeros, zeros)}
        index = np.arange(len(groups))
        Predictions("multiclass", index, zeros.astype(np.int64), views, groups).save(tmp_path / f"{name}.npz")
    compare_command(composed("compare", f"runs=[{tmp_path}/a.npz,{tmp_path}/b.npz]", "view=clean"))
    assert "over 100 patients" in capsys.readouterr().out
