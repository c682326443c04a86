"""An evaluation of chest X-rays with several images of a patient: its intervals are over patients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from gat_lightning.config.build import build_data
from gat_lightning.config.evaluation import data_settings
from gat_lightning.evaluation.predictions import Predictions
from support.evaluations import evaluated, settings
from support.xray_folders import chexpert_folder

Z2 = 1.959963984540054**2


class Brightness(nn.Module):
    """One logit, which differs between images."""

    def forward(self, images: Tensor) -> Tensor:
        return 40 * (images.flatten(1).mean(1, keepdim=True) - 0.5)


def patient_interval(correct: np.ndarray, patients: np.ndarray) -> list[float]:
    """Wilson's, of as many images as have the variance that the patients have."""
    share, residuals = correct.mean(), []
    for patient in np.unique(patients):
        own = correct[patients == patient]
        residuals.append(own.sum() - share * len(own))
    effective = len(correct) * share * (1 - share) * len(correct) / max(np.square(residuals).sum(), 1e-9)
    effective = min(effective, len(correct))
    centre, root = share + Z2 / 2 / effective, np.sqrt(Z2 * share * (1 - share) / effective + (Z2 / 2 / effective) ** 2)
    return [(centre + sign * root) / (1 + Z2 / effective) for sign in (-1, 1)]


def own_model(root: Path, *overrides: str) -> list[str]:
    return [
        "++model._target_=commands.test_patient_intervals.Brightness", "data=chexpert", f"data.root={root}",
        "data.size=8", "data.target=edema", "data.per_patient=all", "data.test_fraction=0.5", "evaluation=clean",
        "pictures=false", *overrides,
    ]  # fmt: skip


def test_an_undefined_score_says_why_and_few_labels_are_noted(tmp_path: Path, capsys: Any) -> None:
    root = chexpert_folder(tmp_path / "xrays", patients=30)
    notes = evaluated(tmp_path / "run", *own_model(root, "images=1"))["notes"]
    shown = " ".join(capsys.readouterr().out.split())
    assert "undefined" in shown
    assert "nan" not in shown
    reason = next(note for note in notes if note.startswith("clean/auroc is undefined: "))
    assert re.fullmatch(r"clean/auroc is undefined: no (positive|negative) among [12] labelled images\.", reason)
    assert any(re.match(r"Only \d+ of \d+ test images have the target's label", note) for note in notes)


def test_intervals_are_over_patients(tmp_path: Path, capsys: Any) -> None:
    root = chexpert_folder(tmp_path / "xrays", patients=60, images=6)
    own = own_model(root, "images=null")
    result = evaluated(tmp_path / "run", *own)
    predictions = Predictions.load(tmp_path / "run" / "predictions.npz")
    config = settings(tmp_path / "run", *own)
    data: Any = build_data(type(config)({"data": data_settings(config), "augment": None}))
    data.setup("test")
    patients = data.records.patients[data.split("test").rows][predictions.index].numpy()
    assert len(np.unique(patients)) < len(patients)
    correct = predictions.views["clean"].correct
    interval = result["intervals"]["model"]["test/clean/accuracy"]
    assert interval == pytest.approx(patient_interval(correct, patients), abs=1e-9)
    with np.load(tmp_path / "run" / "predictions.npz") as file:
        assert set(np.diff(file["groups"])) <= {0, 1} or file["groups"].max() + 1 == len(np.unique(patients))
    assert f"over {len(np.unique(patients))}" in " ".join(capsys.readouterr().out.split())
