"""A run that was moved goes on as it would have where it was: nothing in it says where that is."""

import json
import logging
import shutil
import signal

import pytest
import pytorch_lightning as pl
import torch

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.runs.signals import Stopped
from support.training_runs import equal, trained

SETTINGS = [
    "callbacks=default+early_stopping+ema",
    "data.fraction=0.1",
    "data.val_fraction=0.5",
    "method=standard",
    "task=none",
    "weighting=mgda",
    "curvature.mode=off",
    "+trainer.limit_test_batches=1",
]


class Stop(pl.Callback):
    """A signal before the second epoch."""

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1:
            raise Stopped(signal.SIGTERM)


class Spoil(pl.Callback):
    """The model answers the same for every image from the second epoch's validation on."""

    def on_validation_start(self, trainer, module):
        if trainer.current_epoch == 1:
            for value in module.model.parameters():
                value.data.zero_()


def best_of(directory, name="last"):
    """The state of the callback that keeps the best checkpoint."""
    states = load_checkpoint(directory / "checkpoints" / f"{name}.ckpt")["callbacks"]
    return next(state for key, state in states.items() if key.startswith("ModelCheckpoint"))


def best_bytes(directory):
    return (directory / "checkpoints" / "best.ckpt").read_bytes()


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A run of two epochs that was stopped after the first, and a copy of it."""
    directory = tmp_path_factory.mktemp("before") / "run"
    with pytest.raises(Stopped):
        trained(directory, *SETTINGS, "+callbacks.stop._target_=test_moved_runs.Stop")
    return directory, shutil.copytree(directory, directory.parent / "untouched")


@pytest.fixture
def interrupted(trained_once):
    """The run in the place where it was made."""
    directory, untouched = trained_once
    shutil.rmtree(directory)
    return shutil.copytree(untouched, directory)


def resumed(directory, *overrides):
    return trained(directory, *SETTINGS, "+callbacks.spoil._target_=test_moved_runs.Spoil", *overrides)


@pytest.mark.usefixtures("undrawn")
def test_the_best_checkpoint_of_a_copied_run_stays_and_all_goes_on_as_in_place(interrupted, tmp_path):
    copied, before = tmp_path / "elsewhere" / "copied", best_of(interrupted)["best_model_score"]
    kept = best_bytes(interrupted)
    shutil.copytree(interrupted, copied)
    found = resumed(copied, "resume=auto")
    state = best_of(copied)
    assert state["best_model_score"] == before
    assert best_bytes(copied) == kept
    assert found["metrics"]["best"]["epoch"] == 1
    assert found["metrics"]["last"]["epoch"] == 2
    assert best_bytes(interrupted) == kept
    resumed(interrupted, "resume=auto")
    one, other = (load_checkpoint(run / "checkpoints" / "last.ckpt") for run in (copied, interrupted))
    assert equal(one["callbacks"], other["callbacks"])
    stopping = next(value for key, value in one["callbacks"].items() if key.startswith("EarlyStopping"))
    assert stopping["best_score"] == before
    assert stopping["wait_count"] == 1


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_resumes_from_another_one_takes_its_best_checkpoint_along(interrupted, tmp_path):
    run = tmp_path / "other"
    found = resumed(run, f"resume={interrupted}")
    assert best_bytes(run) == best_bytes(interrupted)
    assert best_of(run)["best_model_score"] == best_of(interrupted)["best_model_score"]
    assert found["metrics"]["best"]["epoch"] == 1


@pytest.mark.usefixtures("undrawn")
def test_a_best_score_without_its_checkpoint_is_forgotten_with_a_word(interrupted, tmp_path, caplog):
    alone = tmp_path / "last.ckpt"
    shutil.copy(interrupted / "checkpoints" / "last.ckpt", alone)
    found = resumed(tmp_path / "run", f"resume={alone}")
    assert "best.ckpt' of the epochs before, nor one beside" in caplog.text
    assert found["metrics"]["best"]["epoch"] == 2
    assert best_of(tmp_path / "run")["best_model_score"] < best_of(interrupted)["best_model_score"]


@pytest.mark.usefixtures("undrawn")
def test_a_run_of_an_earlier_version_which_kept_absolute_paths_can_be_moved_too(interrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(interrupted, run)
    path = run / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    (key,) = (key for key in content["callbacks"] if key.startswith("ModelCheckpoint"))
    old, state = "/nowhere/run/checkpoints", content["callbacks"][key]
    score = state["best_model_score"]
    names = dict.fromkeys(("best_model_path", "kth_best_model_path"), f"{old}/best.ckpt")
    content["callbacks"][key] = {**state, **names, "dirpath": old, "best_k_models": {f"{old}/best.ckpt": score}}
    torch.save(content, path)
    kept = best_bytes(run)
    resumed(run, "resume=auto")
    assert best_of(run)["best_model_score"] == score
    assert best_bytes(run) == kept


def texts(value):
    """Every text in settings or states, keys too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (*texts(key), *texts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def test_nothing_in_a_run_names_its_directory(interrupted):
    contents = [load_checkpoint(path) for path in (interrupted / "checkpoints").glob("*.ckpt")]
    contents.append(json.loads((interrupted / "result.json").read_text()))
    assert len(contents) == 4
    for content in contents:
        assert [text for text in texts(content) if str(interrupted) in text] == []
    settings = contents[-1]["config"]
    assert settings["paths"]["run"] == "."
    assert settings["callbacks"]["best"]["dirpath"] == "checkpoints"
    assert best_of(interrupted)["best_model_path"] == "checkpoints/best.ckpt"


@pytest.mark.usefixtures("undrawn")
def test_a_resumed_run_names_its_checkpoint_relative_to_itself(interrupted, tmp_path, caplog):
    run = tmp_path / "run"
    shutil.copytree(interrupted, run)
    with caplog.at_level(logging.INFO):
        assert resumed(run, "resume=auto")["resumed"] == "checkpoints/last.ckpt"
    assert f"Resumed from {run}/checkpoints/last.ckpt" in caplog.text
