"""What is said of doubtful scores."""

import pytest

from gat_lightning.evaluation.doubts import (
    OutputCheck,
    few_labelled_images,
    non_finite_outputs,
    one_class_for_all,
    why_undefined,
)


def test_one_class_for_all_images():
    check = OutputCheck(40, 0, [0, 40, 0], [20, 10, 10])
    assert one_class_for_all(check, ("a", "b", "c")) == (
        "all 40 images are classified as 'b', which is the label of 25.0% of them"
    )
    assert "classified as '1'" in one_class_for_all(check, ())


@pytest.mark.parametrize(
    "check",
    [
        OutputCheck(40, 0, [1, 39, 0], [20, 10, 10]),
        OutputCheck(40, 0, [0, 40, 0], [0, 40, 0]),  # all are of that class
        OutputCheck(40, 10, [0, 30, 0], [20, 10, 10]),  # which is said in other words
        OutputCheck(40, 0, [], []),
        OutputCheck(0, 0, [0, 0], [0, 0]),
    ],
)
def test_several_classes_or_no_choice(check):
    assert one_class_for_all(check, ("a", "b", "c")) is None


def test_outputs_that_are_not_finite():
    assert non_finite_outputs(OutputCheck(1200, 0, [], [])) is None
    assert non_finite_outputs(OutputCheck(1200, 7, [], [])).startswith("7 of 1,200 outputs are NaN or infinite: ")


@pytest.mark.parametrize(
    ("metric", "check", "reason"),
    [
        ("auroc", OutputCheck(24, 0, [24, 0], [24, 0]), "no positive among 24 labelled images"),
        ("auroc", OutputCheck(24, 0, [24, 0], [0, 24]), "no negative among 24 labelled images"),
        ("auroc", OutputCheck(24, 3, [21, 0], [24, 0]), "3 of 24 outputs are NaN or infinite"),
        ("mae", OutputCheck(24, 3, [], []), "3 of 24 outputs are NaN or infinite"),
        ("accuracy", OutputCheck(0, 0, [0, 0], [0, 0]), "no labelled image"),
    ],
)
def test_why_a_score_is_undefined(metric, check, reason):
    assert why_undefined(metric, check) == reason


@pytest.mark.parametrize(
    ("labelled", "images", "said"), [(24, 1154, True), (50, 1154, False), (24, 24, False), (49, 50, True), (0, 9, True)]
)
def test_few_labelled_images(labelled, images, said):
    found = few_labelled_images(labelled, images, "test")
    assert (found is not None) == said
    assert not said or found.startswith(f"only {labelled} of {images:,} test images have the target's label")
