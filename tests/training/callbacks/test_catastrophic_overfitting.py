"""The guard of single-step training, on a real run whose validation is made to break down."""

import logging

import pytest
import torch

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.training.validation import Scoring
from support.training_runs import rows, trained

FAST = ["method=fast", "weighting=equal", "curvature.mode=off", "task=none", "trainer.max_epochs=5"]


@pytest.fixture
def broken_after_three(monkeypatch):
    """Robust validation accuracy 0.5, 0.6, then 0.35 and so on."""
    compute, robust = Scoring.compute, iter([0.5, 0.6, 0.35, 0.34, 0.33])

    def planted(self):
        scores = compute(self)
        if self._key[1] == "val":
            scores[MetricName("val", "pgd2", "accuracy")] = next(robust)
        return scores

    monkeypatch.setattr(Scoring, "compute", planted)


@pytest.mark.usefixtures("broken_after_three", "undrawn")
def test_the_guard_stops_says_so_and_gives_the_weights_before_back(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        result = trained(tmp_path / "guarded", *FAST)
    assert result["epochs"] == 3
    assert result["status"] == "finished"
    message = "Catastrophic overfitting in epoch 3: validation accuracy under pgd2 fell from 60.0 % to 35.0 %"
    assert message in caplog.text
    best, last = (load_checkpoint(tmp_path / "guarded" / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    assert best["epoch"] == 1
    for name, value in best["state_dict"].items():
        assert torch.equal(value, last["state_dict"][name]), name


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning")
@pytest.mark.slow
@pytest.mark.usefixtures("broken_after_three", "undrawn")
def test_what_the_guard_has_stopped_makes_no_further_step_when_resumed(tmp_path, caplog):
    last = tmp_path / "guarded" / "checkpoints" / "last.ckpt"
    trained(tmp_path / "guarded", *FAST)
    before = load_checkpoint(last)
    caplog.clear()
    result = trained(tmp_path / "guarded", *FAST, "resume=auto")
    assert (result["epochs"], result["status"]) == (3, "finished")
    assert "Catastrophic overfitting has stopped this training before" in caplog.text
    after = load_checkpoint(last)
    assert after["global_step"] == before["global_step"]
    assert all(torch.equal(value, after["state_dict"][name]) for name, value in before["state_dict"].items())
    assert trained(tmp_path / "guarded", *FAST, "resume=auto", "method.guard=false")["epochs"] == 5


@pytest.mark.usefixtures("broken_after_three", "undrawn")
@pytest.mark.parametrize("setting", ["method.guard=false", "method.threshold=0.3"])
def test_without_the_guard_or_within_its_threshold_training_goes_on(tmp_path, caplog, setting):
    result = trained(tmp_path / "run", *FAST, setting)
    assert result["epochs"] == 5
    assert "Catastrophic" not in caplog.text
    robust = [float(row["val/pgd2/accuracy"]) for row in rows(tmp_path / "run") if row.get("val/pgd2/accuracy")]
    assert robust == pytest.approx([0.5, 0.6, 0.35, 0.34, 0.33])
