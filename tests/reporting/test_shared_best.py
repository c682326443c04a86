"""Which settings share the bold of a column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from gat_lightning.evaluation.statistics import mcnemar
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.intervals import interval
from gat_lightning.reporting.records import collect
from gat_lightning.reporting.ties import best
from gat_lightning.runs.metric_names import MetricName
from support.run_records import ATTACK, evaluation, training

PGD = MetricName("test", "pgd20", "accuracy")


def model(folder: Path, task: str, accuracy: float, images: int | None = 1000, seed: int = 0) -> Path:
    directory = training(folder, f"{task}-{seed}", seed, task=task, accuracy=accuracy)
    path = directory / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": images}))
    return directory


def bold(folder: Path) -> set[str]:
    groups = group(collect([folder])[0])
    return {each.label for each, is_best in zip(groups, best(groups, PGD, "best"), strict=True) if is_best}


def test_of_single_runs_those_within_the_error_over_the_images_share_it(tmp_path: Path) -> None:
    for task, accuracy in (("a", 0.50), ("b", 0.49), ("c", 0.30)):
        model(tmp_path, task, accuracy)
    assert bold(tmp_path) == {"task=a", "task=b"}


def test_figures_over_other_images_are_out_of_it(tmp_path: Path) -> None:
    for task, accuracy, images in (("a", 0.50, 1000), ("b", 0.30, 1000), ("c", 0.90, 200)):
        model(tmp_path, task, accuracy, images)
    assert bold(tmp_path) == {"task=a"}


def test_without_a_test_nothing_is_the_best(tmp_path: Path) -> None:
    for task, accuracy in (("a", 0.50), ("b", 0.30)):
        model(tmp_path, task, accuracy, None)
    assert bold(tmp_path) == set()


def test_of_three_seeds_the_spread_counts_and_not_the_images(tmp_path: Path) -> None:
    for task, scores in (("a", (0.60, 0.50, 0.40)), ("b", (0.45, 0.40, 0.35)), ("c", (0.11, 0.10, 0.09))):
        for seed, accuracy in enumerate(scores):
            model(tmp_path, task, accuracy, 100_000, seed)
    assert bold(tmp_path) == {"task=a", "task=b"}
    (first, *_) = group(collect([tmp_path])[0])
    found = interval(first, PGD, "best")
    assert found is not None
    assert found == pytest.approx((0.5 - 4.302653 * 0.1 / np.sqrt(3), 0.5 + 4.302653 * 0.1 / np.sqrt(3)))


def test_the_outcome_of_each_image_tells_more_than_the_intervals(tmp_path: Path) -> None:
    right = {"a": np.arange(200) < 100, "b": np.arange(200) < 88, "c": np.arange(200) < 97}
    for task, correct in right.items():
        evaluation(model(tmp_path, task, 0.1, None), "pgd", float(correct.mean()), correct, pgd20=ATTACK)
    p_values = [mcnemar(right["a"], right[task]).p_value for task in ("b", "c")]
    assert (multipletests(p_values, method="holm")[1] > 0.05).tolist() == [False, True]
    assert bold(tmp_path) == {"task=a", "task=c"}
