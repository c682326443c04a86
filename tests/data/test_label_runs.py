"""Whole runs on files in the official layouts: one epoch with two auxiliary tasks, both attacked and clean scores."""

import json
import warnings

import pytest
from hydra import compose, initialize_config_dir
from robin_folders import fill
from xray_folders import chexpert_folder, nih_folder

from gat_lightning.assembly import find_conf
from gat_lightning.checkpoint import load_classifier
from gat_lightning.command_line import quiet_lightning
from gat_lightning.data.robin import CLASSES
from gat_lightning.run_directory import register_resolvers
from gat_lightning.train import run

pytestmark = pytest.mark.slow
pytest.importorskip("pandas", reason="needs gat-lightning[medical]")

TINY = [
    "data.size=8",
    "data.batch_size=16",
    "data.workers=0",
    "encoder=preact_resnet_small",
    "encoder.width=4",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=1",
    "attack.steps=1",
    "validation.attack.steps=1",
    "test.attack.steps=1",
]


def robin_folder(root):
    fill(root / "ROBIN-cls-train", CLASSES, 5)
    fill(root / "ROBIN-cls-val" / "pose", CLASSES, 1)
    return root


@pytest.mark.parametrize(
    ("name", "folder", "overrides", "metrics"),
    [
        ("chexpert", chexpert_folder, ["task=age+pneumonia", "augment=standard"], {"auroc", "accuracy"}),
        (
            "nih",
            nih_folder,
            ["task=effusion+gender", "data.target=cardiomegaly", "target_task.pos_weight=balanced"],
            {"auroc", "accuracy"},
        ),
        ("nih", nih_folder, ["task=effusion+jigsaw", "task.jigsaw.grid=2", "data.target=age"], {"mae"}),
        ("robin", robin_folder, ["task=macro+rotation"], {"accuracy"}),
    ],
)
def test_one_epoch_of_gat(tmp_path, name, folder, overrides, metrics):
    register_resolvers()
    root, directory = folder(tmp_path / "data"), tmp_path / "run"
    directory.mkdir()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        config = compose("train", [f"data={name}", f"data.root={root}", f"paths.run={directory}", *TINY, *overrides])
    if name != "robin":
        config.data.per_patient = "all"
    with warnings.catch_warnings():
        quiet_lightning()
        run(config)
    result = json.loads((directory / "result.json").read_text())
    assert result["status"] == "finished"
    scores = result["metrics"]["best"]
    for view in ("clean", "pgd1"):
        assert {key.rpartition("/")[2] for key in scores if key.startswith(f"test/{view}/")} == metrics
    assert sum(1 for _ in load_classifier(directory / "checkpoints" / "best.ckpt").parameters())
