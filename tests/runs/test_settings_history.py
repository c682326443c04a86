"""A newer version finds the earlier runs that mean the same, and no others."""

from copy import deepcopy

import pytest
import torch
from omegaconf import OmegaConf, open_dict

from gat_lightning.config.build import CHECKPOINT_SCHEMA
from gat_lightning.config.files import plain
from gat_lightning.config.resuming import check_fits, find_resumable
from gat_lightning.errors import UserError
from gat_lightning.reporting.records import Record
from gat_lightning.runs import settings_history
from gat_lightning.runs.directory import run_name, skipped
from gat_lightning.runs.hashing import configuration_hash
from gat_lightning.runs.result import TrainingResult
from gat_lightning.runs.settings_history import (
    Introduced,
    Redefined,
    Renamed,
    Reshaped,
    first_spelling,
    first_values,
    identity,
)
from support.configurations import composed

FROZEN = {
    ("train",): "e13fbad2",
    ("train", "experiment=quickstart"): "6fea3eb4",
    ("train", "data=chexpert", "data.target=pneumonia", "task=edema+age", "weighting=mgda_floor"): "3d36e735",
    ("evaluate", "data=digits", "+model._target_=net.small", "evaluation=autoattack"): "e7f3997c",
}


@pytest.fixture
def history(monkeypatch):
    """Sets the table."""

    def write(*changes):
        monkeypatch.setattr(settings_history, "HISTORY", changes)

    return write


def pgd(**settings):
    return {"_target_": "gat_lightning.attacks.PGD", "steps": 10, **settings}


@pytest.mark.parametrize("command", FROZEN, ids=" ".join)
def test_the_directories_of_default_configurations_stay(command):
    name, *overrides = command
    assert configuration_hash(composed(name, "paths.run=run", *overrides)) == FROZEN[command], (
        "The resolved configuration has changed, so that earlier runs of it would no longer be found: add the change to"
        " HISTORY in src/gat_lightning/runs/settings_history.py. Only where results mean something else, or no version"
        " with these settings was released, put the new hash here."
    )


def test_radii_by_norm_stay_the_same_run_as_the_number_and_those_of_another_norm_do_not():
    def hashed(*overrides):
        return configuration_hash(composed("train", "paths.run=run", *overrides))

    assert hashed() == hashed("data.eps=8/255")
    assert hashed("attack.norm=L2", "attack.eps=0.5") == hashed("data.eps=8/255", "attack.norm=L2", "attack.eps=0.5")
    assert hashed("attack.norm=L2") == hashed("attack.norm=L2", "attack.eps=128/255")
    assert hashed("attack.norm=L2") != hashed("attack.norm=L2", "attack.eps=8/255")  # which it was in earlier versions


@pytest.mark.parametrize(
    ("changes", "newer", "older"),
    [
        ([], {"a": {"b": [1, {"c": None}]}}, {"a": {"b": [1, {"c": None}]}}),
        ([Introduced("every", 1)], {"every": 1, "seed": 0}, {"seed": 0}),
        ([Introduced("every", 1)], {"every": 2, "seed": 0}, {"every": 2, "seed": 0}),
        ([Introduced("every", 1)], {"every": 1.0}, {"every": 1.0}),
        ([Introduced("tf32", False)], {"tf32": 0}, {"tf32": 0}),
        ([Introduced("attack.restarts", 1)], {"attack": {"restarts": 1, "eps": 8}}, {"attack": {"eps": 8}}),
        ([Introduced("attack.restarts", 1)], {"attack": {"eps": 8}}, {"attack": {"eps": 8}}),
        ([Introduced("attack.restarts", 1)], {"attack": None}, {"attack": None}),
        (
            [Introduced("also.*.steps", 5)],
            {"also": {"a": {"steps": 5}, "b": {"steps": 6}}},
            {"also": {"a": {}, "b": {"steps": 6}}},
        ),
        ([Introduced("views.*", "plain")], {"views": ["plain", "turned", "plain"]}, {"views": ["turned"]}),
        ([Introduced("teacher", {"mode": "off", "rate": 0.1})], {"teacher": {"rate": 0.1, "mode": "off"}}, {}),
        (
            [Introduced("gat_lightning.attacks.PGD.restarts", 1)],
            {"attack": pgd(restarts=1), "test": {"also": [{"attack": pgd(restarts=1)}, {"restarts": 1}]}},
            {"attack": pgd(), "test": {"also": [{"attack": pgd()}, {"restarts": 1}]}},
        ),
        ([Renamed("data.part", "data.fraction")], {"data": {"part": 0.1, "k": 1}}, {"data": {"fraction": 0.1, "k": 1}}),
        ([Renamed("data.part", "data.fraction")], {"data": {"k": 1}}, {"data": {"k": 1}}),
        (
            [Renamed("engine.parts.most", "micro_batch")],
            {"engine": {"parts": {"most": 8}, "k": 1}},
            {"engine": {"parts": {}, "k": 1}, "micro_batch": 8},
        ),
        ([Renamed("micro_batch", "engine.most")], {"micro_batch": 8}, {"engine": {"most": 8}}),
        ([Renamed("data", "images")], {"data": {"root": "x"}}, {"images": {"root": "x"}}),
        (
            [Renamed("also.*.view.*.eps", "also.*.*.size")],
            {"also": [{"view": {3: {"eps": 1}}}]},
            {"also": [{"view": {3: {}}, 3: {"size": 1}}]},
        ),
        (
            [Renamed("gat_lightning.attacks.PGD", "gat_lightning.attacks.pgd.Descent")],
            {"attack": pgd(), "list": [[pgd(eps=1)]]},
            {
                "attack": {"_target_": "gat_lightning.attacks.pgd.Descent", "steps": 10},
                "list": [[{"_target_": "gat_lightning.attacks.pgd.Descent", "steps": 10, "eps": 1}]],
            },
        ),
        (
            [Renamed("gat_lightning.attacks.PGD.step_size", "gat_lightning.attacks.PGD.alpha")],
            {"attack": pgd(step_size=2), "other": {"_target_": "x.Y", "step_size": 2}},
            {"attack": pgd(alpha=2), "other": {"_target_": "x.Y", "step_size": 2}},
        ),
        (
            [Reshaped("data.eps", lambda eps: eps["Linf"] if isinstance(eps, dict) else eps)],
            {"data": {"eps": {"Linf": 0.1}}},
            {"data": {"eps": 0.1}},
        ),
        (
            [Reshaped("callbacks", lambda each: list(each.values()) if isinstance(each, dict) else each)],
            {"callbacks": {"a": 1, "b": 2}},
            {"callbacks": [1, 2]},
        ),
        (
            [
                Renamed("gat_lightning.attacks.PGD", "gat_lightning.PGD"),
                Introduced("gat_lightning.attacks.PGD.tries", 1),
                Renamed("gat_lightning.attacks.PGD.restarts", "gat_lightning.attacks.PGD.tries"),
                Renamed("threat", "attack"),
            ],
            {"threat": pgd(restarts=1)},
            {"attack": {"_target_": "gat_lightning.PGD", "steps": 10}},
        ),
        ([Redefined("seed")], {"seed": 3}, {"seed": 3}),
    ],
)
def test_settings_as_they_were_first_spelled(history, changes, newer, older):
    kept = OmegaConf.create(newer)
    history(*changes)
    assert first_spelling(newer) == older
    assert newer == kept  # which is left as it is
    assert first_spelling(older) == older


@pytest.mark.parametrize(
    ("changes", "settings", "numbers"),
    [
        ([Redefined("data.fraction")], {"data": {"fraction": 1}}, {"data.fraction": 1}),
        ([Redefined("data.fraction")], {"data": {"root": "x"}}, {}),
        ([Redefined("data.fraction")] * 2, {"data": {"fraction": 1}}, {"data.fraction": 2}),
        ([Redefined("images", unaffected=(None, 100))], {"images": None}, {}),
        ([Redefined("images", unaffected=(None, 100))], {"images": 100}, {}),
        ([Redefined("images", unaffected=(None, 1))], {"images": True}, {"images": 1}),
        ([Redefined("gat_lightning.attacks.PGD")], {"test": [{"attack": pgd()}]}, {"gat_lightning.attacks.PGD": 1}),
        ([Redefined("gat_lightning.attacks.PGD")], {"attack": {"_target_": "gat_lightning.attacks.BIM"}}, {}),
        ([Redefined("gat_lightning.attacks.PGD.steps", (10,))], {"attack": pgd()}, {}),
        ([Redefined("part"), Renamed("share", "part")], {"share": 1}, {"part": 1}),
        ([Renamed("share", "part"), Redefined("share")], {"share": 1}, {"share": 1}),
    ],
)
def test_a_meaning_that_changed_has_a_number(history, changes, settings, numbers):
    history(*changes)
    expected = first_spelling(settings)
    assert identity(settings) == ({**expected, "redefined": numbers} if numbers else expected)


@pytest.mark.parametrize("name", ["CheXpert", "NIH"])
def test_what_chest_x_ray_settings_mean_now(name):
    """Every split was drawn in another way; ``first`` and uncertain test labels had another meaning besides."""
    target = f"gat_lightning.data.{name}"

    def numbers(**settings):
        data = {"_target_": target, "split": "patients", "split_seed": 0, "per_patient": "all", **settings}
        return set(identity({"data": data})["redefined"])

    split, per_patient, uncertain = (f"{target}.{each}" for each in ("split", "per_patient", "uncertain"))
    assert numbers() == numbers(split="official") == {split}
    assert numbers(per_patient="first") == numbers(per_patient="merged") == {split, per_patient}
    if name == "CheXpert":
        assert numbers(uncertain="ignore", uncertain_eval="ignore") == {split}
        assert numbers(uncertain="ones", uncertain_eval="ones") == {split, uncertain}
        settings = {"data": {"_target_": target, "uncertain_eval": "ignore"}}
        assert first_spelling(settings) == {"data": {"_target_": target}}


NEWER = (
    Introduced("curvature.power", 1),
    Introduced("validation.attack.margin", 1),
    Renamed("curvature.length", "curvature.step"),
    Renamed("gat_lightning.schedules.Cosine", "gat_lightning.training.schedules.cosine"),
    Reshaped("data.eps", lambda eps: eps["Linf"] if isinstance(eps, dict) else eps),
)


NUMBER = "data.eps=8/255"
"""The radius as the older version of these tests had it."""


def upgraded(config):
    """The same settings as a version after the changes of ``NEWER`` would compose them."""
    config = deepcopy(config)
    with open_dict(config):
        config.curvature.power = 1
        config.validation.attack.margin = 1
        config.curvature.length = config.curvature.pop("step")
        config.schedule._target_ = "gat_lightning.schedules.Cosine"
        config.data.eps = {"Linf": config.data.eps}
        config.attack.eps = config.data.eps.Linf
    return config


def checkpoint(path, config):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "state_dict": {"model.weight": torch.ones(1, 1)},
        "tasks": {},
        "epoch": 0,
        "global_step": 1,
        "lr_schedulers": [{"total_steps": 5}],
        "gat_lightning": {"schema": CHECKPOINT_SCHEMA, "config": plain(config), "data": {}},
    }
    torch.save(content, path)
    return path


def test_an_upgrade_finds_the_run_of_the_same_settings(history, tmp_path):
    history()
    older = composed("train", NUMBER, "paths.run=run", f"paths.output={tmp_path}", "skip_finished=true")
    directory = tmp_path / run_name(older)
    last = checkpoint(directory / "checkpoints" / "last.ckpt", older)
    newer = upgraded(older)

    def resumable():
        return find_resumable("auto", tmp_path / run_name(newer))

    assert resumable() is None  # without the table
    history(*NEWER)
    assert tmp_path / run_name(older) == directory
    assert resumable() == last
    assert skipped(newer) is None
    (directory / "result.json").write_text('{"status": "finished"}')
    assert skipped(newer) == directory

    history(*NEWER, Redefined("curvature.power", unaffected=(1,)))
    assert skipped(newer) == directory
    history(*NEWER, Redefined("curvature.power"))
    assert skipped(newer) is None
    assert resumable() is None
    history(*NEWER)
    newer.curvature.power = 2
    assert skipped(newer) is None


def test_a_run_goes_on_from_a_checkpoint_with_earlier_names(history, tmp_path):
    older = composed("train", NUMBER, "paths.run=run")
    path, model = checkpoint(tmp_path / "older.ckpt", older), torch.nn.Linear(1, 1, bias=False)
    newer = upgraded(older)
    with open_dict(newer):
        newer.data.part = newer.data.pop("fraction")
    with pytest.raises(UserError, match=r"another schedule \(gat_lightning.training.schedules.cosine\)"):
        check_fits(model, newer, path)
    history(*NEWER, Renamed("data.part", "data.fraction"))
    check_fits(model, newer, path)
    check_fits(model, newer, checkpoint(tmp_path / "newer.ckpt", newer))
    newer.data.part = 0.5
    message = r"data\.fraction=1\.0, on which its schedule's length depends, not 0\.5"
    with pytest.raises(UserError, match=message):
        check_fits(model, newer, path)
    newer.schedule._target_ = "gat_lightning.schedules.Step"
    with pytest.raises(UserError, match="another schedule"):
        check_fits(model, newer, path)


def test_what_a_resume_compares_is_in_every_configuration_as_first_spelled():
    """A reshaped node must not hide the settings that a checkpoint and a run have to have alike."""
    config = composed("train", "paths.run=run", "+trainer.max_steps=7")
    names = ["method._target_", "weighting._target_", "optimizer._target_", "schedule._target_"]
    names += ["trainer.max_epochs", "trainer.max_steps", "data.batch_size", "data.fraction"]
    assert None not in first_values(plain(config), names).values()


def test_a_report_compares_settings_in_one_spelling(history, tmp_path):
    older = composed("train", NUMBER, "paths.run=run")

    def settings(config):
        return Record(tmp_path, TrainingResult(config=plain(config))).settings

    assert settings(older) != settings(upgraded(older))
    history(*NEWER)
    assert settings(older) == settings(upgraded(older))
