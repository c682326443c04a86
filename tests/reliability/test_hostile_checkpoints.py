"""Checkpoints that are cut off, of another model, from the future or made to run code: one message, nothing is run."""

import copy
import random
import shutil
import warnings

import pytest
import torch

from gat_lightning.config.build import CHECKPOINT_SCHEMA, build_data, build_module
from gat_lightning.config.checkpoint import load_checkpoint, load_classifier, load_model, load_settings
from gat_lightning.config.resuming import check_fits, initialise, whole_checkpoint
from gat_lightning.errors import UserError
from support.training_runs import tiny, trained

DAMAGED = 60
"""Ways in which the bytes of a checkpoint are damaged."""


@pytest.fixture(scope="module")
def good(quickstart):
    return quickstart[0] / "checkpoints" / "last.ckpt"


@pytest.fixture
def changed(good, tmp_path):
    """Writes the good checkpoint with some change."""

    def write(change):
        content = torch.load(good, weights_only=True)
        change(content)
        torch.save(content, tmp_path / "changed.ckpt")
        return tmp_path / "changed.ckpt"

    return write


def opened(path):
    """The message, or None if it can be opened."""
    try:
        load_model(path)
    except UserError as error:
        message = str(error)
    else:
        return None
    assert "\n" not in message
    assert str(path) in message
    return message


def test_cut_off_anywhere(good, tmp_path):
    content = good.read_bytes()
    path = tmp_path / "cut.ckpt"
    draw = random.Random(0)
    for length in [0, 1, 3, 4, *(draw.randrange(len(content)) for _ in range(DAMAGED)), len(content) - 1]:
        path.write_bytes(content[:length])
        assert "cannot be read as a checkpoint" in opened(path), length


@pytest.mark.slow
def test_bytes_changed_anywhere(good, tmp_path):
    content = good.read_bytes()
    path = tmp_path / "spoilt.ckpt"
    draw = random.Random(0)
    for _ in range(DAMAGED):
        spoilt = bytearray(content)
        start = draw.randrange(len(content))
        end = start + draw.choice([1, 4, 100, 5000])
        spoilt[start:end] = draw.randbytes(len(spoilt[start:end]))
        path.write_bytes(spoilt)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            opened(path)


def drop(*keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(value, *keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(drop(key) for key in ("gat_lightning", "state_dict", "tasks", "epoch", "global_step")),
        *(drop("gat_lightning", key) for key in ("schema", "config", "data")),
        *(drop("gat_lightning", "config", key) for key in ("encoder", "task", "data", "target_task")),
        drop("gat_lightning", "data", "image"),
        drop("tasks", "rotation"),
        drop("state_dict", "model.encoder.trunk.stem.0.weight"),
        put(3, "gat_lightning"),
        put("one", "gat_lightning", "schema"),
        put([1, 2], "state_dict"),
        put(7, "state_dict", "model.encoder.trunk.stem.0.weight"),
        put("${", "gat_lightning", "config", "seed"),
        put("${nowhere}", "gat_lightning", "config", "seed"),
        put(10**9, "gat_lightning", "config", "encoder", "width"),
        put(-1, "gat_lightning", "config", "encoder", "width"),
        put("many", "gat_lightning", "data", "labels"),
    ],
)
def test_parts_that_are_missing_or_wrong(changed, change):
    path = changed(change)
    assert opened(path)


def test_of_a_future_schema(changed):
    path = changed(put(99, "gat_lightning", "schema"))
    message = opened(path)
    assert f"newer gat_lightning (schema 99; this version reads {CHECKPOINT_SCHEMA})" in message
    assert "pip install --upgrade gat-lightning" in message


def test_of_a_past_schema_names_the_last_version_that_reads_it(tmp_path):
    """With names of modules that are no more; the same message wherever a checkpoint is read."""
    path = tmp_path / "old.ckpt"
    config = {
        "schedule": {"_target_": "gat_lightning.schedules.one_cycle"},
        "callbacks": {"last": {"_target_": "gat_lightning.callbacks.LastCheckpoint"}},
    }
    parts = {"state_dict": {}, "tasks": {}, "epoch": 0, "global_step": 0}
    torch.save({**parts, "gat_lightning": {"schema": 1, "config": config, "data": {}}}, path)
    message = opened(path)
    assert "older gat_lightning (schema 1; this version reads 2)" in message
    assert "The last version that reads it is gat-lightning 0.1.0" in message
    for read in (load_checkpoint, load_settings, load_classifier, whole_checkpoint):
        with pytest.raises(UserError) as caught:
            read(path)
        assert str(caught.value) == message


class Payload:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize(
    "place", [("callbacks", "x"), ("gat_lightning", "config", "x"), ("state_dict", "x"), ("optimizer_states", 0)]
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_made_to_run_code(good, tmp_path, place, protocol):
    content = torch.load(good, weights_only=True)
    put(Payload(tmp_path / "proof"), *place)(content)
    path = tmp_path / "crafted.ckpt"
    torch.save(content, path, pickle_protocol=protocol)
    for read in (load_model, load_checkpoint):
        with pytest.raises(
            UserError, match="cannot be read as a checkpoint: it is incomplete, or holds more than plain"
        ):
            read(path)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["encoder.width=8"], r"of another model: '\S+' has shape .* there and shape"),
        (["task=macro"], r"'decoders\.rotation\S+' has shape \[.*\] there and no such weight here"),
        (["task=macro+rotation+jigsaw"], r"'decoders\.jigsaw\S+' has no such weight there and shape"),
        (
            ["trainer.max_epochs=5"],
            "trained with trainer.max_epochs=2, on which its schedule's .*, not 5",
        ),
        (["optimizer=adamw"], r"trained with another optimizer \(torch\.optim\.SGD\)"),
        (["weighting=equal"], r"trained with another weighting \(gat_lightning\.weighting\.MGDA\)"),
    ],
)
def test_of_another_model(good, tmp_path, settings, words):
    with pytest.raises(UserError, match=words):
        trained(tmp_path, f"resume={good}", *settings)
    assert not (tmp_path / "result.json").exists()


def test_one_that_fits(good, tmp_path):
    config = tiny(tmp_path)
    model = build_module(config, build_data(config).info).model
    check_fits(model, config, good)
    assert initialise(copy.deepcopy(model), good) == ["class", "macro", "rotation"]
    shutil.copy(good, tmp_path / "last.ckpt")
    assert opened(tmp_path / "last.ckpt") is None
