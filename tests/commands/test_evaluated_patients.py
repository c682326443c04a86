"""An evaluation of a chest X-ray checkpoint has none of the patients that it was trained on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gat_lightning.commands.evaluate.run import run
from gat_lightning.commands.evaluate.subject import load_subject
from gat_lightning.commands.export import run as run_export
from gat_lightning.config.build import build_data, build_module
from gat_lightning.data import CheXpert
from gat_lightning.errors import UserError
from gat_lightning.formats.safetensors import Safetensors, read_classifier
from support.configurations import composed
from support.xray_folders import chexpert_folder

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[int]]:
    """A checkpoint on a table in which every third patient has no PA image, and its training patients."""
    folder = tmp_path_factory.mktemp("xrays")
    table = chexpert_folder(folder, patients=90) / "train.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for row, line in enumerate(lines) if ",PA," not in line or row % 9 > 3))
    size = ("data.size=8", "data.workers=0", "encoder=preact_resnet_small", "encoder.width=4")
    config = composed("train", "data=chexpert", f"data.root={folder}", "paths.run=.", *size)
    data = build_data(config)
    assert isinstance(data, CheXpert)
    module = build_module(config, data.info)
    content: dict[str, Any] = {"state_dict": module.state_dict(), "epoch": 0, "global_step": 0}
    module.on_save_checkpoint(content)
    torch.save(content, folder / "best.ckpt")
    patients = data.records.patients
    assert patients is not None
    return folder / "best.ckpt", set(patients[data.parts["train"]].tolist())


@pytest.mark.parametrize("split", ["test", "val"])
def test_another_view_has_no_training_patient(trained: tuple[Path, set[int]], split: str) -> None:
    path, training = trained
    data = load_subject(composed("evaluate", f"checkpoint={path}", "+data.view=pa", f"split={split}")).data
    assert isinstance(data, CheXpert)
    assert data.records.patients is not None
    scored = set(data.records.patients[data.parts[split]].tolist())
    assert scored
    assert not scored & training


def test_what_would_touch_a_training_patient_is_refused(trained: tuple[Path, set[int]]) -> None:
    path, _ = trained
    with pytest.raises(UserError, match="may have patients of its training"):
        load_subject(composed("evaluate", f"checkpoint={path}", "+data.test_fraction=0.4"))


def test_a_surrogate_is_not_scored_on_its_training_patients_either(
    trained: tuple[Path, set[int]], tmp_path: Path
) -> None:
    path, _ = trained
    content = torch.load(path, weights_only=True)
    content["gat_lightning"]["data"]["patients"]["split_seed"] = 1
    torch.save(content, tmp_path / "other.ckpt")
    words = [f"checkpoint={path}", f"surrogate={tmp_path / 'other.ckpt'}", f"paths.run={tmp_path}", "device=cpu"]
    with pytest.raises(UserError, match=r"other\.ckpt' was trained on CheXpert with .*split_seed=1"):
        run(composed("evaluate", *words))


def test_an_exported_classifier_keeps_its_split_too(
    trained: tuple[Path, set[int]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, _ = trained
    target = tmp_path / "model.safetensors"
    run_export(composed("export", f"checkpoint={path}", "format=safetensors", f"output={target}"))
    words = [f"checkpoint={target}", "data=chexpert", f"data.root={path.parent}", "data.size=8", "data.workers=0"]
    load_subject(composed("evaluate", *words, "data.view=pa"))
    with pytest.raises(
        UserError, match=r"model\.safetensors' was trained on CheXpert .* may have patients of its train"
    ):
        load_subject(composed("evaluate", *words, "data.split_seed=1"))
    assert "does not hold" not in caplog.text
    model, description = read_classifier(target)
    Safetensors().write(model, replace(description, patients=None), tmp_path / "older.safetensors")
    words[0] = f"checkpoint={tmp_path / 'older.safetensors'}"
    load_subject(composed("evaluate", *words, "data.split_seed=1"))
    assert "older.safetensors' does not hold which patients it was trained on" in caplog.text
