"""What an evaluation records besides its scores: stages, times, classes, targets and adversarial images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import FGSM, AutoAttack, AutoAttackRand
from gat_lightning.commands.evaluate.display import print_metrics
from gat_lightning.commands.evaluate.loggers import figures
from gat_lightning.evaluation.doubts import random_outputs
from gat_lightning.evaluation.outcomes import worst
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.runs.result import read_result
from support.evaluations import OWN, evaluated

FAST = [*OWN[:2], "normalize=data", "pictures=false", "attack.eps=12/255"]
SHORT = [
    "evaluation.autoattack_linf.attack.steps=2", "evaluation.autoattack_linf.attack.queries=3",
    "evaluation.autoattack_l2.attack.steps=2", "evaluation.autoattack_l2.attack.queries=3",
    "evaluation.apgd_l1.attack.steps=2", "evaluation.autoattack_l2.attack.eps=0.5", "evaluation.apgd_l1.attack.eps=4",
]  # fmt: skip


def test_three_norms_are_in_one_table_with_their_union(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = evaluated(tmp_path, *FAST, "evaluation=multi", *SHORT, "save_adversarial=true")
    views = ["clean", "autoattack_linf", "autoattack_l2", "apgd_l1", "worst"]
    assert list(result["metrics"]["model"]) == [f"test/{view}/accuracy" for view in views]
    predictions = Predictions.load(tmp_path / "predictions.npz")
    union = worst([predictions.views[view] for view in views[:-1]])
    assert np.array_equal(predictions.views["worst"].correct, union.correct)
    shown = capsys.readouterr().out
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line[0] == "│"]
    budgets = ["", "Linf 12/255", "L2 0.5", "L1 4", ""]
    assert [row[:2] for row in table[:5]] == [list(row) for row in zip(views, budgets, strict=True)]
    classes = [result["per_class"]["model"][view] for view in views]
    worst_ones = [f"{found['worst']} ({found['classes'][found['worst']]['accuracy']:.1%})" for found in classes]
    assert [row[-1] for row in table[:5]] == worst_ones
    assert result["files"]["logs"] == ["autoattack_linf.log", "autoattack_l2.log"]
    log = (tmp_path / "autoattack_l2.log").read_text()
    assert log.startswith("using standard version including apgd-ce, apgd-t, fab-t, square.\n")
    for view in views[1:-1]:
        check = result["adversarial"][view]
        assert (check["images"], check["outside"], check["changed"]) == (12, 0, 0)
        assert check["metrics"]["accuracy"] == result["metrics"]["model"][f"test/{view}/accuracy"]
        assert (tmp_path / check["file"]).is_file()
    stages = result["stages"]["model"]
    assert list(stages) == ["autoattack_linf", "autoattack_l2"]
    accuracies = [result["metrics"]["model"][f"test/{view}/accuracy"] for view in stages]
    assert [found[-1]["accuracy"] for found in stages.values()] == accuracies
    seconds = [sum(stage["seconds"] for stage in found) for found in stages.values()]
    assert [result["seconds"]["model"][view] for view in stages] == pytest.approx(seconds)
    logged = figures("label", "model", read_result(tmp_path))  # type: ignore[arg-type]
    stage = stages["autoattack_l2"][0]
    assert stage["attack"] == "apgd_ce-l2"
    assert logged["evaluate/label/model/test/autoattack_l2/after_apgd_ce-l2/left"] == stage["left"]


def test_views_are_whole_in_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    view, metrics = "autoattack_linf", {MetricName("test", "autoattack_linf", "accuracy"): 0.5}
    intervals = {name: [0.4, 0.6] for name in metrics}
    print_metrics(metrics, intervals, {view: FGSM(eps="8/255")}, {view: "airplane (10.0%)"}, "title", [], tmp_path)
    shown = capsys.readouterr().out
    assert "│ autoattack_linf │" in shown
    assert "│ 40.00% - 60.00% │" in shown


def test_classes_and_targets_are_recorded_and_images_said_to_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluation=fgsm", "images=40", "attack.targeted=3", "attack.eot=2", "save_adversarial=true"]
    torch.manual_seed(0)  # of the weights
    result = evaluated(tmp_path, *FAST, *words)
    shown = capsys.readouterr().out
    predictions = Predictions.load(tmp_path / "predictions.npz")
    check_classes(result, predictions)
    moved, said = predictions.labels != 3, predictions.views["fgsm"].prediction
    found = result["targeted"]["model"]["fgsm"]
    assert found["attacked"] == moved.sum() < 40
    assert found["reached"] == (said[moved] == 3).mean() > 0
    for own, becomes in found["becomes"].items():
        for other, count in becomes.items():
            assert count == (moved & (predictions.labels == int(own)) & (said == int(other))).sum()
    with np.load(tmp_path / "predictions.npz") as file:
        assert np.array_equal(file["fgsm/target"], np.where(moved, 3, -1))
    assert "as uint8 in adversarial/fgsm.npz. Read back, all are within Linf 12/255 and [0, 1]" in shown
    assert "Which class becomes which under fgsm" in shown
    assert f"of {found['attacked']} images reach their target" in " ".join(shown.split())


def check_classes(result: dict[str, Any], predictions: Predictions) -> None:
    """Accuracies of classes add up to that of all images, and the lowest is named."""
    for view, outcomes in predictions.views.items():
        found = result["per_class"]["model"][view]
        for name, each in found["classes"].items():
            own = outcomes.correct[predictions.labels == int(name)]
            assert (each["images"], each["accuracy"]) == (len(own), own.mean())
            low, high = each["interval"]
            assert low <= each["accuracy"] <= high
        accuracies = {name: each["accuracy"] for name, each in found["classes"].items()}
        assert accuracies[found["worst"]] == min(accuracies.values())
        right = sum(each["images"] * each["accuracy"] for each in found["classes"].values())
        assert right == pytest.approx(outcomes.correct.sum())


class Noisy(nn.Sequential):
    """Somebody's classifier with noise in front."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images + 0.3 * torch.randn_like(images))


def test_a_model_that_draws_random_numbers_is_told_of(tmp_path: Path) -> None:
    result = evaluated(tmp_path, f"++model._target_={__name__}.Noisy", *FAST[1:], "evaluation=fgsm")
    (note,) = [note for note in result["notes"] if "random" in note]
    assert note.startswith("The model draws random numbers, and fgsm may overestimate its robustness: use evaluation=")
    assert random_outputs({"a": FGSM(eot=20), "rand": AutoAttackRand()}) is None
    assert "and b, c may" in str(random_outputs({"a": FGSM(eot=20), "b": FGSM(), "c": AutoAttack()}))
