"""Whole runs on files in the official layouts: one epoch with two auxiliary tasks, both attacked and clean scores."""

import json
import warnings

import pytest
import torch

from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.export import run as run_export
from gat_lightning.commands.train.run import run
from gat_lightning.config.build import build_data
from gat_lightning.config.checkpoint import load_classifier
from gat_lightning.config.command_line import quiet_lightning
from gat_lightning.data.robin import CLASSES
from gat_lightning.formats.safetensors import read_classifier
from support.configurations import composed
from support.robin_folders import fill
from support.xray_folders import chexpert_folder, nih_folder

pytestmark = pytest.mark.slow
pytest.importorskip("pandas", reason="needs gat-lightning[medical]")

TINY = [
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


def chain(directory, name, root, overrides, metrics):
    """Train, evaluate the best checkpoint, export it; the same clean figures in all three."""
    directory.mkdir()
    config = composed("train", f"data={name}", f"data.root={root}", f"paths.run={directory}", *TINY, *overrides)
    best = directory / "checkpoints" / "best.ckpt"
    evaluation = composed(
        "evaluate", f"checkpoint={best}", "evaluation=pgd10", "pictures=false", f"paths.run={directory}/evaluation"
    )
    export = composed("export", f"checkpoint={best}", "format=safetensors")
    with warnings.catch_warnings():
        quiet_lightning()
        trained = run(config)
    result = json.loads((directory / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["metrics"] == trained.metrics
    scores = result["metrics"]["best"]
    for view in ("clean", "pgd1"):
        of_target = [key for key in scores if key.startswith(f"test/{view}/") and key.count("/") == 2]
        assert {key.rpartition("/")[2] for key in of_target} == metrics
    (directory / "evaluation").mkdir()
    found = evaluate(evaluation).metrics["best"]
    for metric in metrics:
        assert found[f"test/clean/{metric}"] == pytest.approx(scores[f"test/clean/{metric}"], abs=1e-4)
        assert f"test/pgd10/{metric}" in found
    classifier, (again, _) = load_classifier(best), read_classifier(run_export(export))
    images = torch.rand(2, *build_data(config).info.image)
    torch.testing.assert_close(again(images), classifier(images), rtol=0, atol=1e-6)
    assert again.state_dict().keys() == classifier.state_dict().keys()


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
    root = folder(tmp_path / "data")
    size = ["data.size=8", *([] if name == "robin" else ["data.per_patient=all"])]
    chain(tmp_path / "run", name, root, [*size, *overrides], metrics)


def test_one_epoch_of_gat_on_cifar10(official_cifar10, tmp_path):
    chain(tmp_path / "run", "cifar10", official_cifar10, ["task=macro+hog"], {"accuracy"})


def test_one_epoch_of_gat_on_stl10_with_its_unlabelled_images(official_stl10, tmp_path):
    overrides = ["data.unlabeled=true", "task=macro+rotation"]
    chain(tmp_path / "run", "stl10", official_stl10, overrides, {"accuracy"})
