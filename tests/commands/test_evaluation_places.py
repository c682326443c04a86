"""Where an evaluation lies: in its run, wherever that is, and the same for one command as for many."""

import json
import shutil
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch

from gat_lightning.runs import evaluations
from gat_lightning.runs.directory import discard_unused, run_name, skipped
from gat_lightning.runs.hashing import configuration_hash
from gat_lightning.runs.layout import RunDirectory
from support.configurations import composed

FINISHED = json.dumps({"status": "finished"})


@pytest.fixture
def run(checkpoint, tmp_path, monkeypatch):
    """A run with ``best.ckpt``, below the default folder of the run directories."""
    monkeypatch.chdir(tmp_path)
    return copied(checkpoint, Path("outputs/sweep/mine"))


def copied(checkpoint, directory):
    shutil.copytree(checkpoint.parent, directory / "checkpoints")
    (directory / "result.json").write_text(FINISHED)
    return directory


@cache
def default():
    return composed("evaluate", "paths.run=x", "checkpoint=x.ckpt")


def of(checkpoint, **settings):
    """The configuration of an evaluation."""
    config = deepcopy(default())
    for name, value in {"checkpoint": str(checkpoint), **settings}.items():
        config[name] = value
    return config


def place(checkpoint, **settings):
    return Path(run_name(of(checkpoint, **settings)))


def number(checkpoint, **settings):
    return place(checkpoint, **settings).name.rpartition("-")[2]


def changed(checkpoint, edit, name="best"):
    content = torch.load(checkpoint, weights_only=True)
    edit(content)
    torch.save(content, checkpoint.with_stem(name))


def finish(directory):
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(FINISHED)
    return directory


def test_an_evaluation_lies_in_its_run_by_whatever_path_that_is_found(run, checkpoint, tmp_path, monkeypatch):
    best = run / "checkpoints" / "best.ckpt"
    found = place(best)
    assert found.parent == Path("sweep/mine/evaluations")
    assert found.name.startswith("pgd20-")
    assert place(best.absolute()) == found
    elsewhere = copied(checkpoint, tmp_path / "moved" / "renamed")
    assert place(elsewhere / "checkpoints" / "best.ckpt") == elsewhere / "evaluations" / found.name
    assert place(best, name="own") == found.with_name(found.name.replace("pgd20", "own"))
    monkeypatch.chdir(best.parent)
    assert place("best.ckpt") == tmp_path / "outputs" / found


def test_settings_kind_and_weights_make_the_hash_and_nothing_else(run):
    best = run / "checkpoints" / "best.ckpt"
    found = number(best)
    shutil.copy(best, best.with_stem("last"))
    others = {number(best.with_stem("last")), number(best, images=4), number(best, surrogate="other.ckpt")}
    assert len(others - {found}) == 3
    assert number(best, skip_finished=True) == number(best, resume=None) == number(best, jobs=2) == found
    changed(best, lambda content: content.update(epoch=7, optimizer_states=[{"lr": 1}]))
    assert number(best) == found
    changed(best, lambda content: next(iter(content["state_dict"].values())).add_(1))
    assert number(best) != found


def test_the_models_of_a_transfer_count_by_their_weights(run, checkpoint):
    best = run / "checkpoints" / "best.ckpt"
    changed(best, lambda content: next(iter(content["state_dict"].values())).add_(1), "other")
    shutil.copy(best.with_stem("other"), "copy.ckpt")
    one, same, another = (
        number(best, surrogate=[str(path)]) for path in (best.with_stem("other"), "copy.ckpt", checkpoint)
    )
    assert one == same != another
    assert number(best, surrogate="copy.ckpt") == one


def test_a_run_that_cannot_be_written_to_and_a_checkpoint_without_one_have_the_same_hash(run, checkpoint, monkeypatch):
    best = run / "checkpoints" / "best.ckpt"
    found = number(best)
    assert place(checkpoint) == Path(f"mine-best-pgd20-{found}")  # its folder has no record of a run
    monkeypatch.setattr(evaluations.os, "access", lambda path, mode: Path(path).absolute() != run.absolute())
    assert place(best) == Path(f"mine-best-pgd20-{found}")


@pytest.mark.parametrize("checkpoint", ["model.safetensors", "none.ckpt", None])
def test_other_models_are_named_by_their_settings_as_typed(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.safetensors").write_bytes(b"no checkpoint")
    config = of("")
    config.checkpoint = checkpoint
    assert run_name(config) == f"{config.name}-{configuration_hash(config)}"


def test_skip_finished_finds_an_evaluation_in_the_run_and_outside(run, monkeypatch):
    best = run / "checkpoints" / "best.ckpt"
    inside = Path("outputs") / place(best)

    def found(path=best, skip_finished=True):
        return skipped(of(path, skip_finished=skip_finished))

    assert found() is None
    earlier = of(best)
    kept = finish(Path("outputs") / f"{earlier.name}-{configuration_hash(earlier)}")
    for path in (best, best.absolute()):
        assert found(path) == kept
    assert found(skip_finished=False) is None
    outside = finish(Path("outputs") / f"mine-best-{inside.name}")
    assert found() == outside
    finish(inside)
    monkeypatch.setattr(evaluations.os, "access", lambda *_: False)
    assert found() == inside
    assert place(best, skip_finished=True, images=4).name.startswith("mine-best-")


def test_a_finished_evaluation_is_repeated_under_another_number(run):
    best = run / "checkpoints" / "best.ckpt"
    first = place(best)
    finish("outputs" / first)
    assert place(best) == Path(f"{first}-2")
    assert place(best, skip_finished=True) == first


def test_a_refused_evaluation_leaves_nothing_in_its_run(run):
    directory = run / "evaluations" / "pgd20-0123abcd"
    (directory / ".hydra").mkdir(parents=True)
    discard_unused(directory)
    assert not (run / "evaluations").exists()
    finish(run / "evaluations" / "other")
    directory.mkdir()
    discard_unused(directory)
    assert [path.name for path in (run / "evaluations").iterdir()] == ["other"]


def test_an_evaluation_leads_to_its_run():
    assert RunDirectory.of_evaluation("outputs/mine/evaluations/pgd20-0123abcd").path == Path("outputs/mine")
    assert RunDirectory.of_evaluation("outputs/mine-best-pgd20-0123abcd") is None
