"""A training whose validation or test has no positive, no negative or no label of its target is refused."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import pytest

from gat_lightning.commands.train.run import run
from gat_lightning.config.build import build_data
from gat_lightning.config.command_line import quiet_lightning
from gat_lightning.errors import UserError
from support.configurations import composed
from support.xray_folders import chexpert_folder

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")

TINY = [
    "data=chexpert", "data.target=edema", "task=none", "weighting=equal", "data.size=8", "data.batch_size=16",
    "data.workers=0", "encoder=preact_resnet_small", "encoder.width=4", "trainer.accelerator=cpu",
    "trainer.max_epochs=1", "attack.steps=1", "validation.attack.steps=1", "test.attack.steps=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chexpert_folder(tmp_path_factory.mktemp("xrays"), images=1)


def settings(folder: Path, directory: Path, *overrides: str) -> Any:
    directory.mkdir(exist_ok=True)
    return composed("train", *TINY, f"data.root={folder}", f"paths.run={directory}", *overrides)


def relabelled(folder: Path, directory: Path, split: str, value: str | None) -> None:
    """Give all images of a split one label if there is one, and the others 0 and 1 in turn."""
    data: Any = build_data(settings(folder, directory))
    patients = set(data.records.patients[data.parts[split]].tolist())
    path = folder / "train.csv"
    with path.open() as file:
        rows = list(csv.reader(file))
    column = rows[0].index("Edema")
    for number, row in enumerate(rows[1:]):
        patient = int(row[0].split("patient")[1][:5])
        row[column] = value if patient in patients and value is not None else ("0.0", "1.0")[number // 2 % 2]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize(
    ("split", "value", "message"),
    [
        ("val", "0.0", r"none of the \d+ labelled validation images is positive, so that it has no score; use a larger"
         r" data\.val_fraction or data\.fraction, or another data\.split_seed"),
        ("val", "1.0", "labelled validation images is negative"),
        ("val", "", r"none of the \d+ validation images has a label"),
        ("test", "0.0", r"labelled test images is positive, .* larger data\.test_fraction, another data\.split_seed or"
         r" another data\.split"),
    ],
)  # fmt: skip
def test_it_is_refused_before_training_with_the_remedy(
    folder: Path, tmp_path: Path, split: str, value: str, message: str
) -> None:
    relabelled(folder, tmp_path / "run", split, value)
    with warnings.catch_warnings():
        quiet_lightning()
        with pytest.raises(UserError, match=message):
            run(settings(folder, tmp_path / "run"))
    assert not (tmp_path / "run" / "metrics.csv").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_images_that_choose_the_best_checkpoint_need_both_too(folder: Path, tmp_path: Path) -> None:
    relabelled(folder, tmp_path / "run", "val", None)
    with pytest.raises(UserError, match=r"none of the 1 labelled validation images .* raise validation\.images"):
        run(settings(folder, tmp_path / "run", "validation.images=1"))
