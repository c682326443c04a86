"""The stages before a training: a pre-training and the teacher of pseudo-labels."""

import json
from copy import deepcopy

import pytest

from gat_lightning.commands.train.run import run
from gat_lightning.commands.train.teacher import share_teacher
from gat_lightning.config import pretraining
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.data import Digits
from gat_lightning.errors import UserError
from gat_lightning.training.given_labels import read_labels
from support.training_runs import equal, leave_out_picture, tiny, trained

PLAIN = ("task=none", "weighting=equal", "curvature.mode=off", "+trainer.limit_test_batches=1", "validation.images=16")
REST = (*PLAIN, "trainer.max_epochs=1", "data.epoch_images=128", "data.unlabeled=rest")


@pytest.fixture(autouse=True)
def composed_here(monkeypatch):
    """Without a command line, a stage's configuration is that of the run with the overrides after it."""
    leave_out_picture(monkeypatch)
    typed = []

    def stage(overrides, directory):
        return tiny(directory.parent, *typed, *overrides, "pretraining=null", f"paths.run={directory}")

    monkeypatch.setattr(pretraining, "compose_before", stage)
    return typed


def given(typed, *words, before):
    typed += words
    return (*words, f"pretraining={list(before)}")


def of(directory):
    return json.loads((directory / "result.json").read_text())


@pytest.mark.slow
def test_a_standard_pretraining_takes_the_labels_of_the_one_teacher(tmp_path, composed_here):
    run_directory, words = (
        tmp_path / "run",
        given(composed_here, *REST, before=("method=standard", "data.epoch_images=64")),
    )
    (run_directory / ".hydra").mkdir(parents=True)  # as a command does
    trained(run_directory, *words)
    before = run_directory / "pretraining"
    assert (before / "gat.log").read_text().startswith("Pre-training stage\n")
    assert (run_directory / "gat.log").read_text().startswith("This run\n")
    assert (run_directory / "teacher" / "result.json").is_file()
    assert not (before / "teacher").exists()
    labels = [read_labels(directory / "pseudo_labels.npz") for directory in (run_directory, before)]
    assert labels[0].digest == labels[1].digest
    assert of(before)["unlabeled"]["digest"] == of(run_directory)["unlabeled"]["digest"]
    assert of(before)["config"]["method"]["_target_"].endswith("Standard")


@pytest.mark.slow
def test_a_pretraining_on_other_data_has_a_teacher_of_its_own(tmp_path, composed_here):
    before = ("method=standard", "data.fraction=0.15")
    trained(tmp_path / "run", *given(composed_here, *REST, before=before))
    assert of(tmp_path / "run" / "pretraining")["unlabeled"]["teacher"] == "standard"
    assert (tmp_path / "run" / "pretraining" / "teacher" / "result.json").is_file()


@pytest.mark.slow
def test_a_self_supervised_pretraining_has_none(tmp_path, composed_here):
    before = ("method=adversarial", "data.target=none", "task=rotation")
    trained(tmp_path / "run", *given(composed_here, *REST, "unlabeled.mode=auto", before=before))
    assert of(tmp_path / "run" / "pretraining")["unlabeled"]["mode"] == "off"
    first = load_checkpoint(tmp_path / "run" / "pretraining" / "checkpoints" / "last.ckpt")["state_dict"]
    assert not equal(first, load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["state_dict"])


def test_the_teacher_is_shared_where_the_images_and_the_target_are_those_of_the_run(tmp_path):
    config = tiny(tmp_path, *REST)
    for name, value, shared in (("batch_size", 32, True), ("fraction", 0.1, False), ("target", "macro", False)):
        stage = deepcopy(config)
        stage.data[name] = value
        share_teacher(stage, config, tmp_path / "teacher")
        assert (stage.unlabeled.teacher == str(tmp_path / "teacher")) == shared
        assert config.unlabeled.teacher == "standard"


def begin(*_, **__):
    raise StopIteration


@pytest.mark.parametrize("words", [(), ("unlabeled.mode=consistency", "data.unlabeled=rest")])
def test_a_run_without_stages_reads_its_data_in_the_training_alone(tmp_path, monkeypatch, words):
    monkeypatch.setattr("gat_lightning.commands.train.run.assemble", begin)
    monkeypatch.setattr(Digits, "describe", lambda data: pytest.fail("read before"))
    with pytest.raises(StopIteration):
        run(tiny(tmp_path / "run", *PLAIN, *words))


@pytest.mark.parametrize(
    ("words", "before", "message"),
    [
        (
            ("unlabeled.mode=both",),
            ("method=standard",),
            "^pretraining: unlabeled.mode=both compares .*method=standard",
        ),
        *[
            (
                ("data.unlabeled=gone.npz", f"unlabeled.mode={mode}"),
                ("data.unlabeled=null", "unlabeled.mode=off"),
                "gone",
            )
            for mode in ("consistency", "off")
        ],
    ],
)
def test_what_is_refused_is_refused_before_any_stage(tmp_path, composed_here, words, before, message):
    with pytest.raises(UserError, match=message):
        run(tiny(tmp_path / "run", *given(composed_here, *REST, *words, before=before)))
    for stage in ("teacher", "pretraining"):
        assert not (tmp_path / "run" / stage).exists()


def test_what_a_pretraining_finds_wrong_with_its_data_is_said_of_it(tmp_path, composed_here):
    with pytest.raises(UserError, match=r"^pretraining: .*gone"):
        run(tiny(tmp_path / "run", *given(composed_here, *PLAIN, before=("data.unlabeled=gone.npz",))))


@pytest.mark.parametrize("before", [None, ("data.unlabeled=null",)])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("resume=gone.ckpt",), "gone.ckpt"),
        (("resume={}", "encoder.width=8"), "is of another model"),
        (("init=gone.ckpt",), "gone.ckpt"),
        (("init={}", "encoder.width=8"), "The encoder of .* is not this run's"),
    ],
)
def test_a_start_is_refused_before_any_stage(tmp_path, composed_here, checkpoint, words, message, before):
    words = (*REST, *(word.format(checkpoint) for word in words))
    if before is not None:
        words = given(composed_here, *words, before=before)
        message = f"{message}|Both init and pretraining"
    with pytest.raises(UserError, match=message):
        run(tiny(tmp_path / "run", *words))
    for stage in ("teacher", "pretraining"):
        assert not (tmp_path / "run" / stage).exists()
