"""``python -m gat_lightning.evaluate engine=fast``: the same outcomes, and what the engine became."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from gat_lightning.commands.evaluate import engine
from gat_lightning.config.engine import Machine
from gat_lightning.config.evaluation import evaluation_label
from gat_lightning.evaluation.predictions import Predictions
from support.configurations import composed
from support.evaluations import OWN, evaluated
from support.graphs import fail_to_compile, traced

ATTACKS = [
    "evaluation=pgd10+autoattack", "evaluation.autoattack.attack.steps=2", "evaluation.autoattack.attack.queries=20",
    "attack.eps=0.05", "images=40", "batch_size=40", "pictures=false",
]  # fmt: skip


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "this_machine", lambda accelerator: Machine("cpu", bf16=True, compiler=True))


@pytest.fixture
def graphs(compiler: None, monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    return traced(monkeypatch)


@pytest.mark.slow
def test_outcomes_are_the_same(checkpoint: Path, tmp_path: Path, graphs: list[torch.fx.GraphModule]) -> None:
    exact, fast = (
        evaluated(tmp_path / name, f"checkpoint={checkpoint}", *ATTACKS, *words)
        for name, words in {"exact": [], "fast": ["engine=fast", "engine.compile=true"]}.items()
    )
    assert len(graphs) == 3
    assert exact["engine"] == {
        "precision": "32-true", "compiled": False, "channels_last": False, "tf32": False, "reasons": {}
    }  # fmt: skip
    reasons = {"channels_last": "a 1x1 convolution of it would corrupt memory"}
    assert fast["engine"] == exact["engine"] | {"compiled": True, "reasons": reasons}
    assert fast["metrics"] == exact["metrics"]
    views = {name: Predictions.load(tmp_path / name / "predictions.npz").views for name in ("exact", "fast")}
    assert list(views["fast"]) == list(views["exact"])
    for view, outcomes in views["exact"].items():
        np.testing.assert_array_equal(views["fast"][view].correct, outcomes.correct)
    accuracy = [exact["metrics"]["best"][f"test/{view}/accuracy"] for view in ("clean", "autoattack")]
    assert accuracy[0] > accuracy[1]


def test_a_small_evaluation_is_not_compiled(
    checkpoint: Path, tmp_path: Path, graphs: list[torch.fx.GraphModule]
) -> None:
    found = evaluated(tmp_path, f"checkpoint={checkpoint}", "evaluation=fgsm", "engine=fast")
    assert not found["engine"]["compiled"]
    assert found["engine"]["reasons"]["compiled"].startswith("it saves about")
    assert graphs == []


@pytest.mark.slow
def test_a_compiler_that_fails_is_said_once(
    checkpoint: Path, tmp_path: Path, compiler: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_to_compile(monkeypatch, "no space left on device")
    found = evaluated(tmp_path, f"checkpoint={checkpoint}", "evaluation=fgsm+pgd10", "engine.compile=true")
    assert found["status"] == "finished"
    assert not found["engine"]["compiled"]
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("no space left on device" in message for message in said) == 1


@pytest.mark.slow
def test_several_attacked_tasks_are_not_compiled(
    checkpoint: Path, tmp_path: Path, graphs: list[torch.fx.GraphModule]
) -> None:
    words = ["evaluation=fgsm", "attack.tasks=all", "engine.compile=true"]
    found = evaluated(tmp_path, f"checkpoint={checkpoint}", *words)
    assert found["engine"]["reasons"]["compiled"] == "attack.tasks names more than the target"
    assert graphs == []


def test_settings_without_effect_are_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    typed = ["engine=fast", "engine.precision=bf16-mixed", "engine.compile=true"]
    monkeypatch.setattr(engine, "typed_overrides", lambda: typed)
    engine.warn_of_unread()
    assert [message.partition(" ")[0] for message in caplog.messages] == ["engine.precision"]


@pytest.mark.slow
def test_the_engine_is_a_setting_of_an_evaluation() -> None:
    labels = {
        words: evaluation_label(composed("evaluate", *OWN, "paths.run=.", *words))
        for words in ((), ("engine=exact",), ("engine=fast",), ("engine.compile=true",), ("engine.precision=auto",))
    }
    assert labels[()] == labels[("engine=exact",)] == labels[("engine.precision=auto",)]
    assert len(set(labels.values())) == 3
