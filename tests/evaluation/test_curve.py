"""A curve and the evaluation agree where they meet: the same attack at the same radius is one measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gat_lightning.attacks import PGD
from gat_lightning.evaluation.threat import Threat, attacks_behind
from support.evaluations import evaluated

NET = ["++model._target_=support.evaluations.Net", "data=digits", "pictures=false"]


@pytest.fixture
def radii(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The radius of each call of PGD."""
    called: list[float] = []
    perturb = PGD.perturb

    def recorded(self: PGD, *arguments: Any) -> Any:
        called.append(self.eps)
        return perturb(self, *arguments)

    monkeypatch.setattr(PGD, "perturb", recorded)
    return called


def test_the_evaluation_is_the_point_of_the_curve_at_its_radius(tmp_path: Path, radii: list[float]) -> None:
    result = evaluated(tmp_path, *NET, "evaluation=pgd20", "images=8", "curve.eps=[0.1,0.15,0.2]")
    scores = result["metrics"]["model"]
    assert scores["test/pgd20@0.15/accuracy"] == scores["test/pgd20/accuracy"]
    with np.load(tmp_path / "predictions.npz") as outcomes:
        for column in ("prediction", "correct", "loss", "score"):
            np.testing.assert_array_equal(outcomes[f"pgd20@0.15/{column}"], outcomes[f"pgd20/{column}"])
        assert (outcomes["pgd20@0.1/loss"] < outcomes["pgd20@0.2/loss"]).all()
    assert radii == [0.15, 0.1, 0.2]  # and it is computed once


def test_the_points_of_a_curve_draw_as_the_evaluation_of_the_same_attack(tmp_path: Path) -> None:
    steps = ["evaluation.pgd20.attack.steps=1", "evaluation.pgd20.attack.step_size=1e-6", "curve.attack.steps=1"]
    found = []
    for name, eps, view in (("curve", "0.15", "pgd1@0.1"), ("alone", "0.1", "pgd20")):
        given = [*NET, "evaluation=pgd20", "images=4", f"attack.eps={eps}", *steps, "curve.attack.step_size=1e-6"]
        torch.manual_seed(0)  # of the model's weights
        evaluated(tmp_path / name, *given, *(["curve.eps=[0.1]"] if name == "curve" else []))
        with np.load(tmp_path / name / "predictions.npz") as outcomes:
            found.append(outcomes[f"{view}/loss"])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("overrides", "view"),
    [
        (["curve.attack.steps=3"], "pgd3@0.15"),
        (["curve.attack.step_size=0.01"], "curve-pgd20@0.15"),
        (["curve.attack.random_start=none"], "curve-pgd20@0.15"),
        (["attack@curve.attack=mim"], "mim20@0.15"),
        (["evaluation=pgd10"], "pgd20@0.15"),
    ],
)
def test_another_attack_has_another_name(tmp_path: Path, overrides: list[str], view: str) -> None:
    result = evaluated(tmp_path, *NET, "evaluation=pgd20", "images=2", "curve.eps=[0.15]", *overrides)
    views = {name.split("/")[1] for name in result["metrics"]["model"]}
    assert {name for name in views if "@" in name} == {view}


def test_a_point_of_a_curve_has_its_own_threat_model() -> None:
    curve = {"attack": {"norm": "L2", "eps": 0.5, "steps": 20, "tasks": "target"}}
    config = {"attack": {"norm": "L2", "eps": 0.5}, "evaluation": {"pgd20": curve}, "curve": curve}
    assert Threat.of_evaluation(config, "pgd20@0.25") == Threat("L2", 0.25)
    assert attacks_behind(config, "pgd20@0.25") == {"pgd20@0.25": {**curve["attack"], "eps": 0.25}}
