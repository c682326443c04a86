"""The scores of a finished run that a sweeper optimises."""

import math

import pytest
import torch

from gat_lightning.runs.result import TrainingResult, write_result
from gat_lightning.runs.scores import best_scores

ROWS = [(0, 0.25, 0.5), (1, 0.75, 0.625), (2, 0.75, 0.875), (3, 0.5, 1.0)]


def run_with(directory, rows, status="finished"):
    lines = [f"{epoch},{epoch},,{selection},{clean}\n{epoch},{epoch},0.1,,\n" for epoch, selection, clean in rows]
    (directory / "metrics.csv").write_text("epoch,step,objective/x,val/selection,val/clean/accuracy\n" + "".join(lines))
    metrics = {"best": {"epoch": 2, "test/clean/accuracy": 0.7, "test/pgd20/auroc": math.nan}, "last": {"epoch": 4}}
    write_result(directory, TrainingResult(config={}, status=status, metrics=metrics))


def test_scores_are_those_of_the_first_epoch_with_the_highest_selection_score(tmp_path):
    run_with(tmp_path, ROWS)
    scores = best_scores(tmp_path)
    assert math.isnan(scores.pop("test/pgd20/auroc"))
    assert scores == {"val/selection": 0.75, "val/clean/accuracy": 0.625, "test/clean/accuracy": 0.7}


def test_undefined_scores_select_nothing(tmp_path):
    run_with(tmp_path, [(0, math.nan, 0.5), (1, 0.5, 0.25), (2, math.nan, 0.75)])
    assert best_scores(tmp_path)["val/clean/accuracy"] == 0.25
    run_with(tmp_path, [(0, math.nan, 0.5), (1, math.nan, 0.25)])
    assert math.isnan(best_scores(tmp_path)["val/selection"])


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_that_is_not_finished_has_none(tmp_path, status):
    assert best_scores(tmp_path) == {}
    run_with(tmp_path, ROWS, status=status)
    assert best_scores(tmp_path) == {}


def test_the_selection_score_is_that_of_the_best_checkpoint(quickstart):
    directory, _ = quickstart
    checkpoint = torch.load(directory / "checkpoints" / "best.ckpt", weights_only=True)
    (kept,) = (state["best_model_score"] for key, state in checkpoint["callbacks"].items() if "val/selection" in key)
    assert best_scores(directory)["val/selection"] == pytest.approx(float(kept), rel=1e-6)
