"""A checkpoint is never scored on patients that it was trained on."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gat_lightning.commands.train.assembly import assemble
from gat_lightning.config.build import CHECKPOINT_SCHEMA
from gat_lightning.config.held_out import check_held_out
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo, PatientSplit
from support.configurations import composed
from support.xray_folders import nih_folder

CHEXPERT = PatientSplit("CheXpert", "patients", 0, 0.2, 0.2, True)
NIH = PatientSplit("NIH ChestX-ray14", "patients", 0, 0.2, 0.2, False)


def checkpoint(path: Path, patients: PatientSplit, *, older: bool = False) -> Path:
    """Without a model; an older one as a version wrote it that drew patients by their rank."""
    data = asdict(DataInfo(patients.dataset, (1, 8, 8), (0.5,), (0.5,), {}, patients=patients))
    if older:
        del data["patients"]
    origin: dict[str, Any] = {"schema": CHECKPOINT_SCHEMA, "config": {"data": {"split": patients.split}}, "data": data}
    torch.save({"state_dict": {}, "tasks": {}, "epoch": 0, "global_step": 0, "gat_lightning": origin}, path)
    return path


@pytest.mark.parametrize("trained", [CHEXPERT, NIH, replace(NIH, split="official", split_seed=3)])
def test_its_own_settings_and_smaller_fractions_are_held_out(trained: PatientSplit, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "best.ckpt", trained)
    for evaluated in (trained, replace(trained, test_fraction=0.1, val_fraction=0.1)):
        check_held_out(path, evaluated, ["val", "test"])
    check_held_out(path, replace(trained, val_fraction=0.9), ["test"])
    check_held_out(path, replace(trained, test_fraction=0.9), ["val"])
    check_held_out(path, replace(CHEXPERT, split="official", split_seed=9), ["test"])


@pytest.mark.parametrize(
    ("trained", "change", "split"),
    [
        (NIH, {"split_seed": 1}, "test"),
        (NIH, {"split_seed": 1}, "val"),
        (NIH, {"test_fraction": 0.3}, "test"),
        (NIH, {"val_fraction": 0.3}, "val"),
        (NIH, {"split": "official"}, "test"),
        (replace(NIH, split="official"), {"split": "patients"}, "test"),
        (replace(NIH, split="official"), {"split_seed": 1}, "val"),
        (CHEXPERT, {"split_seed": 1}, "test"),
        (replace(CHEXPERT, split="official"), {"split": "patients"}, "test"),
    ],
)
def test_other_settings_may_touch_a_training_patient(
    trained: PatientSplit, change: dict[str, Any], split: str, tmp_path: Path
) -> None:
    path = checkpoint(tmp_path / "best.ckpt", trained)
    with pytest.raises(UserError, match=f"the {split} split .* may have patients of its training: use the same"):
        check_held_out(path, replace(trained, **change), [split])


def test_the_message_names_both_settings(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "best.ckpt", replace(NIH, split="official"))
    with pytest.raises(UserError) as caught:
        check_held_out(path, replace(NIH, split_seed=3), ["test"])
    assert str(caught.value) == (
        f"'{path}' was trained on NIH ChestX-ray14 with data.split=official data.split_seed=0 data.val_fraction=0.2,"
        " and the test split with data.split=patients data.split_seed=3 data.test_fraction=0.2 data.val_fraction=0.2"
        " may have patients of its training: use the same settings for both"
    )


OFFICIAL, OTHER = "set data.split=official, or use another data set", "use another data set, or train again"


@pytest.mark.parametrize(
    ("trained", "remedy"),
    [
        (CHEXPERT, OFFICIAL),  # its official test images are of other patients
        (replace(CHEXPERT, split="official"), OFFICIAL),
        (NIH, OTHER),
        (replace(NIH, split="official"), OFFICIAL),
    ],
)
def test_an_older_checkpoint(trained: PatientSplit, remedy: str, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "best.ckpt", trained, older=True)
    official, drawn = (replace(trained, split=split) for split in ("official", "patients"))
    reason = "by a version that drew patients in another way, and the {} split .* may have patients of its training: "
    with pytest.raises(UserError, match=reason.format("test") + remedy):
        check_held_out(path, drawn, ["test"])
    with pytest.raises(UserError, match=reason.format("val") + OTHER):
        check_held_out(path, official, ["val"])
    if remedy == OFFICIAL:
        check_held_out(path, official, ["test"])
    else:
        with pytest.raises(UserError, match=reason.format("test") + remedy):
            check_held_out(path, official, ["test"])
    check_held_out(path, replace(drawn, dataset="other"), ["test", "val"])


def test_data_without_patients_are_not_concerned(tmp_path: Path) -> None:
    check_held_out(tmp_path / "no such file", None, ["test", "val"])


def test_a_training_does_not_begin_with_a_model_that_saw_its_test_patients(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    init = checkpoint(tmp_path / "first.ckpt", replace(NIH, split_seed=1))
    words = ["data=nih", f"data.root={nih_folder(tmp_path)}", f"paths.run={tmp_path / 'run'}", "data.size=8"]
    words += ["encoder=preact_resnet_small", "encoder.width=4", "data.target=cardiomegaly", "trainer.accelerator=cpu"]
    with pytest.raises(UserError, match="may have patients of its training"):
        assemble(composed("train", *words), str(init))
    with pytest.raises(UserError, match="may have patients of its training"):
        assemble(composed("train", *words, f"resume={init}"), None)
