"""Trainings on pseudo-labels: where the labels come from, what is kept, and what is refused."""

import json
import logging
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from gat_lightning.batch import has_label
from gat_lightning.commands.train.run import run
from gat_lightning.commands.train.teacher import taught, teacher_stage
from gat_lightning.config.build import build_data
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.data import Digits, base
from gat_lightning.errors import UserError
from gat_lightning.training.given_labels import read_labels
from support.configurations import composed
from support.interrupting import interrupt
from support.training_runs import assert_equal_runs, equal, leave_out_picture, tiny, trained
from support.xray_folders import chexpert_folder

PLAIN = (
    *("task=none", "weighting=equal", "curvature.mode=off", "+trainer.limit_test_batches=1", "validation.images=16"),
    *("trainer.max_epochs=1", "data.epoch_images=192"),
)
REST = (*PLAIN, "data.unlabeled=rest")
KNOWING = "unlabeled.teacher={model: {_target_: support.nearest_digits.NearestDigit}, normalize: data}"

EMA = ("unlabeled.teacher=ema", "callbacks=default+ema")
TEACHERS = ((), EMA, (KNOWING,))


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    leave_out_picture(monkeypatch)


def weights(directory):
    return load_checkpoint(directory / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    """A run with the default teacher."""
    with pytest.MonkeyPatch.context() as patch:
        leave_out_picture(patch)
        directory = tmp_path_factory.mktemp("pseudo") / "run"
        (directory / ".hydra").mkdir(parents=True)  # as a command does
        with logged(directory / "gat.log"):
            return directory, trained(directory, *REST)


@contextmanager
def logged(path):
    """Messages of the run, added to a file."""
    handler, package = logging.FileHandler(path), logging.getLogger("gat_lightning")
    before = package.level
    package.setLevel(logging.INFO)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(before)
        handler.close()


def test_the_teacher_introduces_itself_and_the_parts_of_a_batch_are_told_once(standard):
    directory, _ = standard
    log = (directory / "gat.log").read_text()
    assert log.startswith("Each batch of 64 images has ")
    assert log.count("Each batch of ") == log.count("This run\n  data ") == 1
    assert (directory / "teacher" / "gat.log").read_text().startswith("The teacher\n  data ")


def test_the_teacher_is_a_stage_of_the_run(standard):
    directory, result = standard
    stage = json.loads((directory / "teacher" / "result.json").read_text())
    config = stage["config"]
    assert stage["status"] == "finished"
    assert config["method"]["_target_"].endswith("Standard")
    assert (config["data"]["unlabeled"], config["data"]["epoch_images"]) == (None, 192)
    assert config["target_task"]["label_smoothing"] == 0.1
    assert config["encoder"] == result["config"]["encoder"]
    told = result["unlabeled"]
    kept = read_labels(directory / "pseudo_labels.npz")
    assert (told["mode"], told["teacher"], told["digest"]) == ("pseudo_label", "standard", kept.teacher)
    assert told["labelled"] == told["images"] == len(kept.index)
    assert told["confidence"] == pytest.approx(float(kept.probabilities.amax(1).mean()))
    clean = [row for row in (directory / "teacher" / "metrics.csv").read_text().splitlines()[1:] if row]
    assert clean
    assert 0 <= told["validation_accuracy"] <= 1
    assert torch.allclose(kept.probabilities.sum(1), torch.ones(len(kept.index)))


def test_the_teacher_has_epochs_of_its_own(tmp_path):
    config = tiny(tmp_path / "run", *REST, "unlabeled.teacher_epochs=5", "+trainer.max_steps=2", "validation.every=9")
    data = build_data(config)
    data.setup()
    stage = teacher_stage(config, data)
    assert (stage.trainer.max_epochs, stage.trainer.max_steps, stage.validation.every) == (5, -1, 5)
    assert config.trainer.max_steps == 2


def test_the_stage_chooses_its_best_by_its_own_scores(tmp_path):
    """Those under the run's own attacks are not computed in it."""
    words = ("callbacks=default+early_stopping", "callbacks.best.monitor=val/pgd10/accuracy")
    config = tiny(tmp_path / "run", *REST, *words, "callbacks.best.mode=min", "validation.attack.steps=10")
    data = build_data(config)
    data.setup()
    best = teacher_stage(config, data).callbacks.best
    assert (best.monitor, best.mode) == ("val/selection", "max")
    assert config.callbacks.best.monitor == "val/pgd10/accuracy"


@pytest.mark.parametrize(
    ("word", "named"),
    [("data.seed=1", "data.seed"), ("data.fraction=0.5", "data.fraction"), ("data.batch_size=16", None)],
)
def test_a_teacher_that_has_seen_hidden_labels_is_warned_of(standard, tmp_path, word, named):
    result = trained(tmp_path / "run", *REST, f"unlabeled.teacher={standard[0] / 'teacher'}", word)
    warned = [each for each in result["warnings"] if "may have seen labels that this run hides" in each]
    assert len(warned) == (named is not None)
    assert all(f"with another {named}. " in each for each in warned)


def test_true_labels_of_the_rest_are_never_used(standard, tmp_path, monkeypatch):
    """With other ones the run is the same."""
    original = base.with_unlabeled

    def scrambled(train, images, *others):
        images.labels["class"] = 9 - images.labels["class"]
        return original(train, images, *others)

    monkeypatch.setattr(base, "with_unlabeled", scrambled)
    trained(tmp_path / "run", *REST)
    assert_equal_runs(standard[0], tmp_path / "run")
    assert read_labels(tmp_path / "run" / "pseudo_labels.npz").digest == (
        read_labels(standard[0] / "pseudo_labels.npz").digest
    )


@pytest.mark.parametrize("words", [(), ("method=trades",), ("augment=cutmix",)])
def test_labels_of_a_teacher_that_is_right_train_like_true_ones(tmp_path, monkeypatch, words):
    trained(tmp_path / "pseudo", *REST, KNOWING, *words)

    def known(train, images, test, target, source):
        return base.JoinedDataset(train, images, images.labels)

    monkeypatch.setattr(base, "with_unlabeled", known)
    result = trained(tmp_path / "true", *REST, "unlabeled.mode=off", *words)
    assert result["unlabeled"] == {"mode": "off"}
    assert_equal_runs(tmp_path / "pseudo", tmp_path / "true")


@pytest.mark.parametrize("words", [("unlabeled.soft=true",), ("unlabeled.weight=0.5",), ("unlabeled.confidence=0.12",)])
def test_settings_of_the_labels_change_the_training(standard, tmp_path, words):
    shutil.copytree(standard[0] / "teacher", tmp_path / "run" / "teacher")
    result = trained(tmp_path / "run", *REST, *words)
    assert not equal(weights(standard[0]), weights(tmp_path / "run"))
    told = result["unlabeled"]
    kept = read_labels(tmp_path / "run" / "pseudo_labels.npz")
    sure = kept.probabilities.amax(1) >= 0.12 if "confidence" in words[0] else kept.index >= 0
    assert told["labelled"] == int(sure.sum())
    assert kept.digest == read_labels(standard[0] / "pseudo_labels.npz").digest


def test_the_average_of_the_run_teaches(tmp_path):
    result = trained(tmp_path / "run", *REST, *EMA)
    assert result["unlabeled"]["teacher"] == "ema"
    assert not (tmp_path / "run" / "teacher").exists()
    trained(tmp_path / "off", *REST, "unlabeled.mode=off")
    assert not equal(weights(tmp_path / "run"), weights(tmp_path / "off"))


def test_a_run_teaches_another(standard, tmp_path):
    result = trained(tmp_path / "run", *REST, f"unlabeled.teacher={standard[0] / 'teacher'}")
    assert result["unlabeled"]["digest"] == standard[1]["unlabeled"]["digest"]
    assert equal(weights(standard[0]), weights(tmp_path / "run"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *[
            ((mode, *teacher), "all training images have the label 'class'")
            for mode in ("unlabeled.mode=pseudo_label", "unlabeled.mode=both")
            for teacher in TEACHERS
        ],
        (("unlabeled.mode=both", "unlabeled.images=all", *EMA), "all training images have the label 'class'"),
        *[(("data.unlabeled=gone.npz", *teacher), "no file or folder .*gone.npz") for teacher in TEACHERS],
        (("data.unlabeled=gone", "unlabeled.mode=consistency"), "no file or folder .*gone"),
        (("data.unlabeled=rest", "unlabeled.teacher=nothing.ckpt"), r"unlabeled.teacher: There is no checkpoint"),
        (("data.unlabeled=rest", "unlabeled.teacher={model: {_target_: torch.nn.Flatten}}"), "must give 10 outputs"),
    ],
)
def test_refused_before_any_training(tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        run(tiny(tmp_path / "run", *PLAIN, *words))
    assert not (tmp_path / "run" / "teacher").exists()
    assert not any((tmp_path / "run").glob("checkpoints/*"))


def fail(config):
    raise AssertionError(f"trained in {config.paths.run}")


def test_a_source_that_is_refused_is_so_before_the_teacher_is_trained(tmp_path):
    digits = Digits()
    digits.setup()
    held_out = {name: digits.split(name).images[digits.split(name).rows[[4]]][:, 0].numpy() for name in ("val", "test")}
    pictures = np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8)
    arrays = {
        "no images": pictures[:0],
        r"has shape \[9, 8, 7, 1\]": pictures[:, :, :7],
        r"has shape \[9, 8, 8, 3\]": np.stack([pictures] * 3, 3),
        r"1 of its images .*image 9 \(test image 4\)": np.concatenate([pictures, held_out["test"]]),
        r"1 of its images .*image 9 \(validation image 4\)": np.concatenate([pictures, held_out["val"]]),
    }
    sources = {
        "no file or folder": "gone.npz",
        "has no pictures": "empty",
        r"an \.npz file": "list.txt",
        "damaged": "b.npz",
    }
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("a.png")
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 and no more")
    for number, (message, images) in enumerate(arrays.items()):
        np.savez(tmp_path / f"{number}.npz", image=images)
        sources[message] = f"{number}.npz"
    config = tiny(tmp_path / "run", *PLAIN, "data.fraction=1")
    for message, source in sources.items():
        config.data.unlabeled = str(tmp_path / source)
        with pytest.raises(UserError, match=message):
            taught(config, fail)


def test_a_resumed_run_keeps_its_labels(standard, tmp_path):
    own, other = (f"unlabeled.teacher={standard[0] / name}" for name in ("teacher", "checkpoints/last.ckpt"))
    longer = (*REST, "trainer.max_epochs=2")
    interrupt(tmp_path / "run", *longer, own, epoch=1, batch=1)
    resumed = (*longer, "resume=auto")
    with pytest.raises(UserError, match=r"pseudo_labels.npz has labels of another teacher"):
        trained(tmp_path / "run", *resumed, other)
    (tmp_path / "run" / "pseudo_labels.npz").unlink()
    with pytest.raises(UserError, match="trained on other pseudo-labels"):
        trained(tmp_path / "run", *resumed, other)
    (tmp_path / "run" / "pseudo_labels.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="is damaged"):
        trained(tmp_path / "run", *resumed, own)


def test_labels_are_those_of_the_images_that_they_were_given_to(tmp_path):
    """Other images in the place of as many are labelled anew, and refused where a run goes on."""
    random, source = np.random.default_rng(0), tmp_path / "more.npz"

    def fresh_images():
        np.savez(source, image=random.integers(0, 256, (40, 8, 8), dtype=np.uint8))

    def kept():
        return read_labels(tmp_path / "run" / "pseudo_labels.npz").probabilities

    fresh_images()
    words = (*PLAIN, f"data.unlabeled={source}", KNOWING, "trainer.max_epochs=2")
    interrupt(tmp_path / "run", *words, epoch=1, batch=1)
    first = kept()
    fresh_images()
    with pytest.raises(UserError, match="has labels of another teacher, or of other images"):
        trained(tmp_path / "run", *words, "resume=auto")
    assert torch.equal(kept(), first)
    interrupt(tmp_path / "run", *words, epoch=0, batch=1)
    assert not torch.equal(kept(), first)


def test_a_longer_run_goes_on_with_the_teacher_of_the_one_that_it_continues(tmp_path):
    words = (*REST, "schedule=constant")
    before = trained(tmp_path / "first", *words)
    result = trained(tmp_path / "run", *words, "trainer.max_epochs=2", f"resume={tmp_path / 'first'}")
    assert result["unlabeled"]["digest"] == before["unlabeled"]["digest"]
    assert result["epochs"] == 2
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {"teacher", "checkpoints"}
    assert not [name for name in names if name.startswith("tmp")]
    weights_of_both = (weights(run / "teacher") for run in (tmp_path / "first", tmp_path / "run"))
    assert equal(*weights_of_both)


def test_a_teacher_without_its_last_checkpoint_teaches_with_its_best(standard, tmp_path):
    shutil.copytree(standard[0] / "teacher", tmp_path / "run" / "teacher")
    (tmp_path / "run" / "teacher" / "checkpoints" / "last.ckpt").unlink()
    trained(tmp_path / "run", *REST)


def test_a_confidence_that_leaves_out_nearly_all_is_warned_of(standard, tmp_path):
    words = (*REST, f"unlabeled.teacher={standard[0] / 'teacher'}", "unlabeled.confidence=1")
    result = trained(tmp_path / "run", *words)
    assert result["unlabeled"]["labelled"] == 0
    (warned,) = (each for each in result["warnings"] if "unlabeled.confidence=1 leaves labels to 0 of" in each)
    assert "lower it" in warned


def test_blanks_of_a_medical_table_are_labelled(tmp_path):
    chexpert_folder(tmp_path / "chexpert", patients=60)
    words = (
        *("data=chexpert", f"data.root={tmp_path / 'chexpert'}", "data.target=edema", "data.size=16"),
        *("data.workers=0", "data.batch_size=16", "encoder=preact_resnet_small", "encoder.width=4", "attack.steps=2"),
        *("trainer.max_epochs=1", "trainer.accelerator=cpu", "unlabeled.mode=pseudo_label", "weighting=equal"),
        *("curvature.mode=off", "unlabeled.soft=true", "test.attack.steps=2", "validation.attack.steps=2"),
    )
    run(composed("train", *words, f"paths.run={tmp_path / 'run'}"))
    told = json.loads((tmp_path / "run" / "result.json").read_text())["unlabeled"]
    kept = read_labels(tmp_path / "run" / "pseudo_labels.npz")
    data = build_data(composed("train", *words, "paths.run=x"))
    data.setup()
    blank = ~has_label(data.split("train").labels["edema"])
    assert 0 < len(kept.index) < len(blank)
    assert kept.index.tolist() == blank.nonzero().flatten().tolist()
    assert kept.probabilities.shape == (len(kept.index), 2)
    assert told["labelled"] == len(kept.index)
    assert all(value.isfinite().all() for value in weights(tmp_path / "run").values())
