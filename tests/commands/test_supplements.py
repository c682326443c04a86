"""Audit, surrogates, vulnerability and pictures, asked for on the command line of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gat_lightning.errors import UserError
from support.documents import DESCRIBED, undescribed_files
from support.evaluations import OWN, evaluated
from support.training_runs import trained

FEW = ["evaluation=pgd10", "evaluation.pgd10.attack.steps=2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models that classify something rightly."""
    folder = tmp_path_factory.mktemp("surrogates")
    found = {}
    for seed, name in enumerate(("mine", "theirs")):
        trained(
            folder / name,
            "method=standard",
            f"seed={seed}",
            "data.fraction=1.0",
            base="experiment=quickstart_adversarial",
        )
        found[name] = folder / name / "checkpoints" / "best.ckpt"
    return found


@pytest.mark.slow
def test_everything_that_was_asked_for_is_in_the_result(runs: dict[str, Path], tmp_path: Path) -> None:
    evaluated(
        tmp_path, f"checkpoint={runs['mine']}", f"surrogate={runs['theirs']}", *FEW, "images=40", "subset=20",
        "audit=true", "vulnerability=true", "curve.eps=[0.1]", "curve.attack.steps=1",
    )  # fmt: skip
    result = json.loads((tmp_path / "result.json").read_text())
    assert len(result["audit"]["checks"]) == 10
    rates = result["transfer"]["success_of_all"]
    assert set(rates) == {"best", "theirs"}
    assert all(0 <= rate <= 1 for row in rates.values() for rate in row.values())
    assert result["vulnerability"]["pgd10"]["images"] == 20
    assert set(result["files"]["images"]) == {
        f"images/{name}.png" for name in ("attack", "confusion", "loss_contour", "curve", "first_order")
    }
    for name in (*result["files"]["images"], "audit.md"):
        assert (tmp_path / name).stat().st_size > 100
    assert not set(result) - DESCRIBED
    assert not undescribed_files(tmp_path)


def test_what_cannot_be_had_becomes_a_note_and_the_metrics_stay(checkpoint: Path, tmp_path: Path) -> None:
    result = evaluated(tmp_path, f"checkpoint={checkpoint}", *FEW, "images=2", "audit=true", "pictures=false")
    assert result["status"] == "finished"
    assert "test/pgd10/accuracy" in result["metrics"]["best"]
    assert ("audit" in result) != any(note.startswith("audit was left out") for note in result["notes"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["surrogate=nowhere.ckpt"], "nowhere.ckpt"),
        (["vulnerability=true", "evaluation=fab"], "needs an attack on a loss"),
        (["subset=0"], "subset=0: it must be"),
    ],
)
def test_wrong_wishes_are_refused_before_the_evaluation(
    checkpoint: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        evaluated(tmp_path, f"checkpoint={checkpoint}", *overrides)
    assert not (tmp_path / "predictions.npz").exists()


def test_a_model_without_tasks_has_no_vulnerability(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a checkpoint"):
        evaluated(tmp_path, *OWN, "vulnerability=true")


@pytest.mark.slow
def test_the_curve_has_the_point_that_the_same_attack_was_measured_at(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(
        "gat_lightning.commands.evaluate.supplements.accuracy_against_eps",
        lambda curves, *_, **__: drawn.update(curves),
    )
    result = evaluated(
        tmp_path, f"checkpoint={checkpoint}", *FEW, "images=30", "curve.eps=[0.05,0.3]", "curve.attack.steps=2"
    )
    ((name, points),) = drawn.items()
    eps = result["trained"]["data"]["eps"]
    assert (name, sorted(points)) == ("pgd2", sorted([0.0, 0.05, 0.3, eps]))
    assert points[eps].mean() == pytest.approx(result["metrics"]["best"]["test/pgd10/accuracy"])
