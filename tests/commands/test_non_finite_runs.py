"""Runs whose model answers NaN: a training fails and says why; an evaluation counts the outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.errors import UserError
from support.evaluations import evaluated
from support.training_runs import SHORT, trained

DIVERGING = ["optimizer.lr=1e30", "schedule=constant", "+trainer.limit_train_batches=1", "task=none", "weighting=equal"]
"""The one step is finite, and the weights after it give no finite output."""


@pytest.mark.usefixtures("undrawn")
def test_a_training_fails_and_its_record_says_why(tmp_path: Path, caplog: Any) -> None:
    with pytest.raises(UserError, match=r"answers NaN or infinity: 128 of 128 test outputs of last\.ckpt"):
        trained(tmp_path, *SHORT, *DIVERGING, "data.batch_size=128")
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["status"] == "failed"
    assert "answers NaN or infinity" in result["error"]
    assert result["checks"]["last"]["clean"] == {"images": 128, "non_finite": 128, "zero_gradient": None}
    assert result["metrics"]["last"]["test/clean/accuracy"] == 0
    warned = [record.message for record in caplog.records if record.message.startswith("last.ckpt, test/clean")]
    assert len(warned) == 1


class HalfNaN(nn.Module):
    """Answers NaN where the digit has ink in the middle of its upper row."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, images: Tensor) -> Tensor:
        return torch.where(images[:, 0, 0, 3:4] > 0.5, torch.nan, self.net(images))


def test_an_evaluation_counts_says_and_keeps_them(tmp_path: Path, caplog: Any) -> None:
    own = ["++model._target_=commands.test_non_finite_runs.HalfNaN", "data=digits", "evaluation=fgsm", "images=null"]
    result = evaluated(tmp_path, *own, "pictures=false", "batch_size=360")
    checks = result["checks"]["model"]
    assert list(checks) == ["clean", "fgsm", "worst"]
    assert checks["clean"]["images"] == result["images"]
    assert 0 < checks["clean"]["non_finite"] < result["images"]
    said = [note for note in result["notes"] if "NaN or infinite" in note]
    assert [note.split(":")[0] for note in said] == [view for view in checks if checks[view]["non_finite"]]
    assert all(note in caplog.messages for note in said)
    assert not [note for note in result["notes"] if "draws random numbers" in note]
