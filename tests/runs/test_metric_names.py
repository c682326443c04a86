"""Names of scores, read and written in one place."""

import pytest

from gat_lightning.runs.metric_names import (
    MetricName,
    objective_column,
    objective_columns,
    scores_in,
    target_scores,
)

COLUMNS = [
    "epoch", "step", "objective/class/clean", "weight/target_adversarial", "val/selection", "val/clean/accuracy",
    "val/pgd10/accuracy", "val/clean/macro/accuracy", "ema/val/clean/accuracy", "test/clean/mae", "test/pgd20@0.05/mae",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("test/pgd20/accuracy", MetricName("test", "pgd20", "accuracy")),
        ("val/clean/macro/accuracy", MetricName("val", "clean", "accuracy", "macro")),
        ("test/pgd20 L2 0.5/mae", MetricName("test", "pgd20 L2 0.5", "mae")),
    ],
)
def test_a_name_is_read_as_it_is_written(text, name):
    assert MetricName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text", ["val/selection", "objective/class/adv", "ema/val/clean/accuracy", "test//accuracy", "test/a/b/c/d", ""]
)
def test_other_columns_are_no_scores(text):
    with pytest.raises(ValueError, match="split/view"):
        MetricName.parse(text)


def test_scores_among_columns():
    assert [str(name) for name in scores_in(COLUMNS, "val")] == COLUMNS[5:8]
    assert [str(name) for name in target_scores(COLUMNS, "val")] == COLUMNS[5:7]
    assert [str(name) for name in target_scores(COLUMNS, "test")] == COLUMNS[9:]


@pytest.mark.parametrize(
    ("metric", "text", "lower_is_better"),
    [("accuracy", "12.3%", False), ("auroc", "12.3%", False), ("mae", "0.1235", True), ("l1", "0.1235", True)],
)
def test_what_a_metric_means(metric, text, lower_is_better):
    name = MetricName("test", "clean", metric)
    assert name.text(0.123456) == text
    assert name.lower_is_better is lower_is_better


def test_columns_of_objectives():
    weights = {name: objective_column("weight", name) for name in ("class/adv", "macro/curvature")}
    assert weights == {"class/adv": "weight/class/adv", "macro/curvature": "weight/macro/curvature"}
    cosine = objective_column("cosine", "class/adv", "class/clean")
    assert cosine == "cosine/class/adv|class/clean"
    columns = [*COLUMNS, *weights.values(), cosine]
    assert objective_columns(columns, "weight") == weights
    assert objective_columns(columns, "cosine") == {"class/adv|class/clean": cosine}
    assert objective_columns(columns, "norm") == {}
