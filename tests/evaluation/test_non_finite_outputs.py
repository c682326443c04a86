"""A NaN or infinite output is never right and never a score, wherever an evaluation decides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import FGSM
from gat_lightning.evaluation.audit import audit
from gat_lightning.evaluation.outcomes import measure, worst
from gat_lightning.evaluation.target import Target
from gat_lightning.evaluation.transfer import success_rates
from gat_lightning.figures.confusion import confusion_matrix
from support.trained_digits import task

BAD = [math.nan, math.inf, -math.inf]


class Spoilt(nn.Module):
    """Outputs that are given, by the number in each image's only pixel."""

    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.outputs[(255 * images[:, 0, 0, 0]).round().long()] + 0 * images.flatten(1).sum(1, keepdim=True)


def numbered(count: int) -> Tensor:
    return (torch.arange(count) / 255)[:, None, None, None].expand(count, 1, 8, 8)


def outcomes(kind: Any, outputs: Tensor, labels: Tensor) -> Any:
    return Target(Spoilt(outputs), task(kind)).outcomes(numbered(len(labels)), labels)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 3, 9])
def test_classes(bad: float, place: int) -> None:
    """Images 0 to 9, each with its own class on top, of which the first three have a bad logit."""
    outputs, labels = torch.eye(10), torch.arange(10)
    outputs[:3, place] = bad
    found = outcomes("multiclass", outputs, labels)
    assert found.correct.tolist() == [False] * 3 + [True] * 7
    assert np.isnan(found.score[:3]).all()
    assert np.isfinite(found.score[3:]).all()
    assert measure("multiclass", found, labels.numpy()) == {"accuracy": pytest.approx(0.7)}
    assert set(found.prediction[:3]).isdisjoint(range(-1, 10))


@pytest.mark.parametrize("bad", BAD)
def test_binary(bad: float) -> None:
    labels = torch.tensor([0, 0, 1, 1])
    found = outcomes("binary", torch.tensor([[-1.0], [bad], [2.0], [bad]]), labels)
    assert found.correct.tolist() == [True, False, True, False]
    scores = measure("binary", found, labels.numpy())
    assert math.isnan(scores["auroc"])
    assert scores["accuracy"] == 0.5


@pytest.mark.parametrize("bad", BAD)
def test_regression(bad: float) -> None:
    labels = torch.tensor([0.5, 0.5])
    found = outcomes("regression", torch.tensor([[0.4], [bad]]), labels)
    assert math.isnan(measure("regression", found, labels.numpy())["mae"])
    assert found.score[0] == pytest.approx(0.4)


@pytest.mark.parametrize("kind", ["multiclass", "binary"])
def test_the_worst_case_keeps_the_bad_output(kind: Any) -> None:
    """The image is wrong in one view only, by a NaN."""
    width = 10 if kind == "multiclass" else 1
    good, labels = torch.ones(2, width), torch.ones(2, dtype=torch.long)
    good[:, min(1, width - 1)] = 5
    bad = good.clone()
    bad[1] = math.nan
    found = worst([outcomes(kind, good, labels), outcomes(kind, bad, labels)])
    assert found.correct.tolist() == [True, False]
    assert np.isnan(found.score).tolist() == [False, True]


@pytest.mark.parametrize("kind", ["multiclass", "binary", "regression"])
def test_metrics_of_no_image_are_undefined(kind: Any) -> None:
    empty = outcomes(kind, torch.zeros(1, 10 if kind == "multiclass" else 1), torch.zeros(1, dtype=torch.long))
    none = np.array([], dtype=np.int64)
    assert all(math.isnan(value) for value in measure(kind, empty.take(none), none).values())


def test_large_finite_logits_are_not_bad() -> None:
    """Their difference overflows in float32."""
    outputs = torch.zeros(2, 10)
    outputs[:, 0], outputs[:, 1] = 3e38, -3e38
    found = outcomes("multiclass", outputs, torch.tensor([0, 1]))
    assert found.correct.tolist() == [True, False]
    assert np.isfinite(found.score).all()


@pytest.mark.parametrize("width", [1, 2])
def test_the_audit(width: int) -> None:
    """Of twenty images the model is right about ten and answers NaN about the others, two of which are of class 0."""
    labels = torch.tensor([0, 1] * 10)
    outputs = 4.0 * labels[:, None] - 2 if width == 1 else 4 * nn.functional.one_hot(labels).float()
    outputs[10:] = math.nan
    report = audit(Spoilt(outputs), numbered(20).clone(), labels, eps=1e-4)
    assert report.settings["clean_accuracy"] == 0.5
    assert report.settings["non_finite_outputs"] == 10


def test_transferred_attacks() -> None:
    """The victim answers NaN for half of its images: these are wrong, clean and adversarial."""
    labels = torch.tensor([0, 1] * 10)
    sound = 4 * nn.functional.one_hot(labels).float()
    spoilt = sound.clone()
    spoilt[10:] = math.nan
    matrix = success_rates(
        {"sound": Spoilt(sound)}, numbered(20).clone(), labels, FGSM(eps=1e-5), victims={"spoilt": Spoilt(spoilt)}
    )
    found = matrix.to_dict()
    assert found["correct_when_clean"] == {"spoilt": 10}
    assert found["success_of_all"] == {"sound": {"spoilt": 0.5}}


def test_a_confusion_matrix_has_no_column_for_it() -> None:
    found = outcomes("multiclass", torch.full((4, 10), math.nan), torch.arange(4))
    assert confusion_matrix(np.arange(4), found.prediction, 10).sum() == 0
