"""Warnings about a training that goes wrong, from rows like those of metrics.csv."""

import math

import pytest

from gat_lightning.runs.metric_names import MetricName
from gat_lightning.training.doubts import flat_loss, overfitting, starved

CLASSES = {"class": 10, "rotation": 4}
ROBUST = MetricName("val", "pgd10", "accuracy")


def epochs(**columns):
    """Two rows of each epoch, 1 % apart, of columns whose names have _ for /."""
    count = len(next(iter(columns.values())))
    named = {name.replace("_", "/"): values for name, values in columns.items()}
    return [
        {"epoch": str(epoch), **{name: str(values[epoch] * factor) for name, values in named.items()}}
        for epoch in range(count)
        for factor in (0.995, 1.005)
    ]


@pytest.mark.parametrize(
    ("losses", "is_flat"),
    [
        ([2.31, 2.303, 2.302], True),
        ([2.31, 2.303], False),  # too early
        ([2.31, 2.20, 2.05], False),  # falls
        ([0.05, 0.05, 0.05], False),  # a network that was trained before
        ([2.9, 3.4, 4.1], False),  # worse than a guess and rising: not flat
        ([1.9, 2.303, 2.303, 2.303], True),  # collapsed
    ],
)
def test_a_loss_is_flat_where_it_stays_at_that_of_a_guess(losses, is_flat):
    message = flat_loss(epochs(objective_class_adv=losses), CLASSES)
    assert (message is not None) == is_flat
    if is_flat:
        assert f"class/adv at {losses[-1]:.2f} (a guess has {math.log(10):.2f})" in message


def test_losses_without_a_known_value_of_a_guess_are_not_judged():
    rows = epochs(objective_class_curvature=[3.0] * 5, objective_age_clean=[3.0] * 5, objective_class_kl=[3.0] * 5)
    assert flat_loss(rows, CLASSES) is None
    assert "rotation/clean at 1.39" in flat_loss(epochs(objective_rotation_clean=[math.log(4)] * 3), CLASSES)


def test_objectives_without_weight_for_three_epochs_are_starved():
    rows = epochs(weight_a_adv=[5.0] * 4, weight_b_adv=[0.0, 0.03, 0.01, 0.0], weight_c_adv=[0.0, 2.0, 0.0, 0.0])
    assert starved(rows, []).startswith("Starved for 3 epochs, with less than 1% of the weight each: b/adv. ")
    assert starved(rows, ["b/adv"]) is None
    assert starved(rows[:4], []) is None


def test_an_objective_of_some_steps_is_judged_by_these():
    """A curvature term of every second step has no weight in the others."""
    rows = epochs(weight_a_adv=[5.0] * 4, weight_a_curvature=[5.0] * 4, weight_b_adv=[4.0] * 4)
    for row in rows[::2]:
        row["weight/a/curvature"] = ""
    assert starved(rows, []) is None


@pytest.mark.parametrize(
    ("scores", "losses", "images", "warns"),
    [
        ([0.5, 0.6, 0.52, 0.5], [1.0, 0.8, 0.6, 0.5], 1024, True),
        ([0.5, 0.6, 0.52, 0.5], [1.0, 0.8, 0.6, 0.5], 100, False),  # too few images
        ([0.5, 0.6, 0.5, 0.6], [1.0, 0.8, 0.6, 0.5], 1024, False),  # came back
        ([0.5, 0.6, 0.52, 0.5], [1.0, 0.8, 0.9, 1.1], 1024, False),  # the training loss rises too
        ([0.5, 0.6], [1.0, 0.8], 1024, False),
    ],
)
def test_a_gap_that_opens_between_best_and_now(scores, losses, images, warns):
    rows = epochs(objective_class_adv=losses)
    for epoch, score in enumerate(scores):
        rows.append({"epoch": str(epoch), str(ROBUST): str(score)})
    message = overfitting(rows, ROBUST, images, "class/adv")
    assert (message is not None) == warns
    if warns:
        assert message.startswith(
            "Robust overfitting: validation pgd10/accuracy was 60.0% in epoch 2 and is 50.0% in epoch 4"
        )
