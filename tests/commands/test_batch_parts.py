"""The first message of a run with ``data.unlabeled``: what each part of a batch trains."""

import logging

import pytest

from gat_lightning.commands.train.assembly import assemble
from gat_lightning.commands.train.batch_parts import batch_parts
from gat_lightning.commands.train.run import run
from gat_lightning.config.build import build_data, build_tasks
from gat_lightning.config.unlabeled import unlabeled_mode
from support.training_runs import leave_out_picture, tiny
from support.xray_folders import chexpert_folder

REST = ("data.unlabeled=rest", "data.fraction=0.1", "data.unlabeled_fraction=0.25")


def told(config):
    data = build_data(config)
    return data, batch_parts(data, build_tasks(config, data.info), unlabeled_mode(config, data.info))


@pytest.mark.parametrize(
    ("words", "learning"),
    [
        (("task=rotation",), "class by unlabeled.mode=pseudo_label (data.unlabeled is given) and rotation."),
        (("task=macro+rotation", "unlabeled.mode=consistency"), "class by unlabeled.mode=consistency and rotation."),
        (("task=macro", "unlabeled.mode=both"), "class by unlabeled.mode=both."),
        (("task=jigsaw", "unlabeled.mode=off"), "jigsaw."),
        (("task=macro", "unlabeled.mode=off"), "nothing, since unlabeled.mode=off."),
        (("task=rotation+jigsaw", "data.target=none"), "rotation and jigsaw."),
    ],
)
def test_what_is_said_is_what_the_batches_have(tmp_path, words, learning):
    data, said = told(tiny(tmp_path, *REST, *words))
    assert said.endswith(f", and 16 images of data.unlabeled=rest, for {learning}")
    assert said.startswith("Each batch of 64 images has 48 training images, for ")
    data.setup()
    labelled = len(data.split("train"))
    for request in data.training_sampler():
        assert sum(position >= labelled for position in request.positions) == 16


def test_other_labels_of_a_table_are_there_for_the_rest_and_not_for_a_folder(tmp_path):
    root = chexpert_folder(tmp_path / "data")
    words = ("data=chexpert", f"data.root={root}", "data.size=8", "data.fraction=0.7", "task=age+rotation")
    for source, learning in (("rest", "by unlabeled.mode=consistency and age and rotation."), (root, "and rotation.")):
        more = (f"data.unlabeled={source}", "data.target=edema", "unlabeled.mode=consistency")
        _, said = told(tiny(tmp_path / "run", *words, *more))
        assert said.endswith(learning)
        assert ("age" in said.partition("data.unlabeled")[2]) == (source == "rest")


def test_nothing_is_said_without_such_images(tmp_path):
    assert told(tiny(tmp_path))[1] is None


@pytest.mark.parametrize(
    "teacher", ["standard", "{model: {_target_: support.nearest_digits.NearestDigit}, normalize: data}"]
)
def test_it_comes_first(tmp_path, monkeypatch, caplog, teacher):
    """Before the teacher's stage too."""
    caplog.set_level(logging.INFO)
    leave_out_picture(monkeypatch)
    monkeypatch.setattr("gat_lightning.commands.train.run.assemble", stop_in_the_stage)
    config = tiny(tmp_path / "run", *REST, "task=none", "weighting=equal", f"unlabeled.teacher={teacher}")
    with pytest.raises(StopIteration):
        run(config)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("gat_lightning")]
    assert said[0] == told(config)[1]


def stop_in_the_stage(config, init):
    assemble(config, init)
    raise StopIteration
