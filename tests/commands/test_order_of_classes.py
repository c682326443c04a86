"""Models whose classes are those of the data in another order: each path by which one comes in refuses it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gat_lightning.commands.evaluate.subject import load_subject
from gat_lightning.commands.evaluate.supplements import load_surrogates
from gat_lightning.commands.export import run as run_export
from gat_lightning.commands.train.run import run as run_training
from gat_lightning.config.checkpoint import load_model
from gat_lightning.errors import UserError
from gat_lightning.evaluation.target import Target
from gat_lightning.info import LabelInfo
from support.configurations import composed

REFUSED = r"classes are a, b, and those of the data set .* b, a: the same in another order"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Words that choose a data set of two classes, without their names."""
    random, path = np.random.default_rng(0), tmp_path_factory.mktemp("two_classes") / "data.npz"
    images, labels = random.integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    return "data=arrays", f"data.path={path}", "data.eps=0.1"


def trained(directory, data, classes, *words):
    settings = (
        *("data.fraction=0.5", "task=none", "weighting=equal", "curvature.mode=off", "trainer.max_epochs=1"),
        *("encoder=preact_resnet_small", "encoder.width=4", "data.batch_size=8", "attack.steps=1"),
    )
    named = ("trainer.accelerator=cpu", f"data.classes=[{classes}]", f"paths.run={directory}")
    run_training(composed("train", *data, *settings, *named, *words))
    return directory


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    """A run with the classes a and b."""
    return trained(tmp_path_factory.mktemp("order") / "first", data, "a,b")


@pytest.fixture(scope="module")
def export(first):
    path = first.parent / "classifier.safetensors"
    run_export(composed("export", f"checkpoint={last(first)}", "format=safetensors", f"output={path}"))
    return path


def last(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def evaluated_on(classes, model, data, monkeypatch):
    typed = f"data.classes=[{classes}]"
    monkeypatch.setattr("gat_lightning.config.evaluation.typed_overrides", lambda: [typed])
    return load_subject(composed("evaluate", f"checkpoint={model}", *data, typed))


def test_a_teacher(first, data, tmp_path):
    words = ("data.unlabeled=rest", f"unlabeled.teacher={first}")
    with pytest.raises(UserError, match=rf"^unlabeled.teacher: .*{REFUSED}"):
        trained(tmp_path / "second", data, "b,a", *words)
    trained(tmp_path / "third", data, "c,d", *words)


def test_a_checkpoint_and_an_export_that_are_evaluated(first, export, data, monkeypatch):
    for model in (last(first), export):
        with pytest.raises(UserError, match=REFUSED):
            evaluated_on("b,a", model, data, monkeypatch)
        assert evaluated_on("a,b", model, data, monkeypatch).classes == ("a", "b")


def test_a_surrogate(first):
    found = load_model(last(first))
    task, path = found.tasks[0], str(last(first))
    target = Target(found.model.single_task(), task)

    def described(*classes):
        return replace(found.info, labels={task.name: LabelInfo(classes)})

    with pytest.raises(UserError, match=rf"^surrogate={path}: .*{REFUSED}"):
        load_surrogates([path], target, described("b", "a"))
    assert list(load_surrogates([path], target, described("a", "b"))) == ["first"]
