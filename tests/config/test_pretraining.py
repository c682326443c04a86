"""Training without a target, and a training before the training."""

import json
from pathlib import Path

import pytest
import torch

from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.check import check
from gat_lightning.config.checkpoint import load_checkpoint, load_classifier
from gat_lightning.config.pretraining import pretraining_stage
from gat_lightning.errors import UserError
from support.commands import command
from support.training_runs import SHORT, TINY, tiny, trained

NO_TARGET = ["data.target=none", "task=rotation+jigsaw", "weighting=mgda"]
FIRST = "pretraining=['method=standard','trainer.max_epochs=3']"


@pytest.mark.slow
def test_without_a_target_the_first_task_is_attacked_and_scored(tmp_path, undrawn):
    result = trained(tmp_path / "first", *NO_TARGET, *SHORT)
    scores = {"test/clean/accuracy", "test/pgd2/accuracy", "test/clean/jigsaw/accuracy"}
    assert set(result["metrics"]["last"]) == {"epoch", *scores}
    again = trained(tmp_path / "again", *NO_TARGET, *SHORT)
    assert again["metrics"] == result["metrics"]
    checkpoint = tmp_path / "first" / "checkpoints" / "last.ckpt"
    config = tiny(tmp_path / "second", "task=rotation", f"init={checkpoint}", *SHORT)
    trained(tmp_path / "second", "task=rotation", f"init={checkpoint}", "optimizer.lr=1e-12", *SHORT)
    mine = load_checkpoint(tmp_path / "second" / "checkpoints" / "last.ckpt")["state_dict"]
    theirs = load_checkpoint(checkpoint)["state_dict"]
    weights = [key for key in theirs if key.startswith("model.") and key.endswith("weight") and "jigsaw" not in key]
    assert any("rotation" in key for key in weights)
    for key in weights:
        torch.testing.assert_close(mine[key], theirs[key], rtol=0, atol=1e-6)
    data = build_data(config)
    assert load_classifier(checkpoint)(torch.rand(2, *data.info.image)).shape == (2, 4)


@pytest.mark.parametrize(
    ("task", "message"),
    [("none", "there is none"), ("macro+rotation", "'macro' is the first"), ("autoencoder+rotation", "'autoencoder'")],
)
def test_a_task_with_classes_of_its_own_must_lead(tmp_path, task, message):
    config = tiny(tmp_path, "data.target=none", f"task={task}", "weighting=mgda")
    with pytest.raises(UserError, match=message):
        build_module(config, build_data(config).info)


def test_maxup_needs_a_target(tmp_path):
    config = tiny(tmp_path, *NO_TARGET, "augment=maxup")
    for refuse in (check, lambda config: build_module(config, build_data(config).info)):
        with pytest.raises(UserError, match=r"augment: MaxUp looks at the loss of a target.* another augmentation"):
            refuse(config)


def test_both_init_and_pretraining_are_one_too_many(tmp_path):
    config = tiny(tmp_path, "init=a.ckpt", FIRST)
    with pytest.raises(UserError, match="leave one of them out"):
        pretraining_stage(config)
    with pytest.raises(UserError, match="train twice"):
        pretraining_stage(tiny(tmp_path, FIRST))


@pytest.mark.slow
def test_a_training_before_the_training_runs_once_and_its_weights_are_the_beginning(tmp_path):
    overrides = ["experiment=fine_tuning", "data=digits", "encoder=preact_resnet_small", "augment=none", *TINY]
    done = command(*overrides, FIRST, "trainer.max_epochs=1", "optimizer.lr=1e-12", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "outputs").iterdir()
    before = json.loads((run / "pretraining" / "result.json").read_text())
    after = json.loads((run / "result.json").read_text())
    assert (before["epochs"], after["epochs"]) == (3, 1)
    assert {"test/pgd2/accuracy", "test/pgd4/accuracy"} < set(after["metrics"]["best"])
    assert before["config"]["method"]["_target_"].endswith("Standard")
    assert before["config"]["data"]["fraction"] == 0.2
    assert after["config"]["attack"]["steps"] == 2
    weight = "model.encoder.trunk.stem.0.weight"
    first, last = (
        load_checkpoint(Path(directory) / "checkpoints" / "last.ckpt")["state_dict"][weight]
        for directory in (run / "pretraining", run)
    )
    torch.testing.assert_close(first, last, rtol=0, atol=1e-6)
    written = (run / "pretraining" / "result.json").stat().st_mtime_ns
    result = run / "result.json"
    result.write_text(result.read_text().replace('"finished"', '"interrupted"'))
    done = command(*overrides, FIRST, "trainer.max_epochs=1", "optimizer.lr=1e-12", "resume=auto", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (run / "pretraining" / "result.json").stat().st_mtime_ns == written
    assert json.loads(result.read_text())["status"] == "finished"
