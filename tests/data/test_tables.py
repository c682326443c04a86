import sys
from dataclasses import asdict

import pytest
import torch

from gat_lightning.data import CheXpert
from gat_lightning.data.splits import hold_out
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo, LabelInfo, PatientSplit


def test_without_pandas_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"pip install 'gat-lightning\[medical\]'"):
        _ = CheXpert(root=tmp_path).records


def test_info_survives_a_checkpoint(tmp_path):
    labels = {
        "edema": LabelInfo(("absent", "present"), "binary", (3, 4)),
        "age": LabelInfo((), "regression", (), 100.0, "years"),
    }
    info = DataInfo(
        "x", (1, 2, 3), (0.5,), (0.25,), labels, "all is lost", PatientSplit("x", "patients", 0, 0.2, 0.2, True)
    )
    torch.save(asdict(info), tmp_path / "info.pt")
    assert DataInfo.from_plain(torch.load(tmp_path / "info.pt", weights_only=True)) == info
    older = {"name": "x", "image": [1, 2, 3], "mean": [0.5], "std": [0.25], "labels": {"a": {"classes": ["b", "c"]}}}
    assert DataInfo.from_plain(older).labels == {"a": LabelInfo(("b", "c"))}


def test_samples_without_a_class_are_never_held_out():
    labels = torch.tensor([0, 1] * 20 + [-1] * 60)
    training, validation, _ = hold_out(labels, 0.5, 1.0, seed=0)
    assert len(validation) == 20
    assert (labels[validation] >= 0).all()
    assert int((labels[training] == -1).sum()) == 60
