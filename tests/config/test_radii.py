"""A radius belongs to its norm: presets, what follows them, and what is refused."""

import logging

import pytest
import torch
from omegaconf import OmegaConf

from gat_lightning.config.build import CHECKPOINT_SCHEMA
from gat_lightning.config.check import check
from gat_lightning.config.files import plain
from gat_lightning.errors import UserError
from support.configurations import composed
from support.training_runs import SHORT, trained

PRESETS = {"Linf": "8/255", "L2": "128/255", "L1": 12}


def training(*overrides):
    return composed("train", "paths.run=run", *overrides)


def refusal(config):
    with pytest.raises(UserError) as caught:
        check(config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("norm", "method"), [("Linf", "trades"), ("L2", "trades"), ("L2", "free"), ("L2", "fgsm"), ("L1", "fast")]
)
def test_every_attack_of_a_training_has_the_radius_of_its_norm(norm, method):
    config = training(f"attack.norm={norm}", f"method={method}", "+attack@test.also.more.attack=bim")
    nodes = (config.attack, config.method, config.validation.attack, config.test.attack, config.test.also.more.attack)
    assert [node.eps for node in nodes[:4]] == [PRESETS[norm]] * 4
    assert [node.norm for node in nodes[:4]] == [norm] * 4
    assert nodes[4].eps == "8/255"  # an attack of its own, in Linf


@pytest.mark.parametrize("node", ["validation.attack", "test.attack", "method"])
def test_an_attack_in_another_norm_than_the_training_s_does_not_take_its_radius(node):
    method = ["method=trades", "weighting=equal"]
    config = training(*method, "attack.eps=0.01", f"{node}.norm=L2")
    assert OmegaConf.select(config, f"{node}.eps") == "128/255"
    assert config.attack.eps == 0.01
    message = refusal(training("data=digits", *method, "attack.eps=0.01", f"{node}.norm=L2"))
    assert message.startswith(f"{node}.norm=L2: data.eps has no radius for this norm, only Linf (0.15). Set {node}.eps")


def test_what_is_typed_counts():
    config = training("data=digits", "attack.norm=L2", "attack.eps=0.7", "test.attack.eps=0.9")
    check(config)
    assert [config[name].attack.eps for name in ("validation", "test")] == [0.7, 0.9]


@pytest.mark.parametrize(("data", "norm"), [("digits", "L2"), ("stl10", "L2"), ("images", "L1"), ("chexpert", "L2")])
def test_a_norm_without_a_preset_is_refused(data, norm):
    config = training(f"data={data}", f"attack.norm={norm}")
    assert refusal(config).startswith(f"attack.norm={norm}: data.eps has no radius for this norm, only Linf (")


@pytest.mark.parametrize(
    ("eps", "beginning"),
    [
        ("{l2:0.5}", "data.eps.l2: there is no norm l2; did you mean data.eps.L2? Norms: Linf, L2, L1."),
        ("{Linf:0.1,L2:0}", "data.eps.L2=0: it must be a number above 0, such as 0.03 or 8/255."),
        ("{Linf:2}", "data.eps.Linf=2: it must be a number above 0 and at most 1"),
        ("{Linf:8:255}", "data.eps.Linf='8:255': it must be a number"),
        ("{L2:0.5}", "attack.norm=Linf: data.eps has no radius for this norm, only L2 (0.5). Set attack.eps, such as"),
        ("-1", "data.eps=-1: it must be a number above 0 and at most 1"),
        ("null", "data.eps=null: it must be a number"),
    ],
)
def test_presets_that_are_none(eps, beginning):
    assert refusal(training("data=digits", f"data.eps={eps}")).startswith(beginning)


def test_a_wrong_preset_is_named_where_the_radius_comes_from():
    message = refusal(training("attack.eps=-1", "method=trades", "weighting=equal"))
    assert message.startswith("attack.eps=-1: ")


@pytest.mark.parametrize(("norm", "reason"), [("l2", "did you mean L2?"), ("L3", "one of: Linf, L2, L1")])
def test_a_norm_that_there_is_not_is_named_as_such(norm, reason):
    message = refusal(training(f"attack.norm={norm}"))
    assert message.startswith(f"attack.norm='{norm}': it must be")
    assert reason in message


def test_an_attack_that_takes_all_radii_for_its_own_is_told_how_to_take_one():
    config = training()
    config.attack.eps = "${data.eps}"
    assert "write eps: ${radius:${data.eps},${.norm}}" in refusal(config)


@pytest.mark.usefixtures("undrawn")
def test_a_run_says_which_radius_it_took(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    trained(tmp_path, *SHORT, "task=none", "weighting=equal", "attack.norm=L2", "data.eps={Linf:0.1,L2:1/2}")
    said = [record.message for record in caplog.records if "radius" in record.message]
    assert said == ["attack.norm=L2: radius 1/2 from data.eps"]


def evaluation(tmp_path, trained_with, *overrides):
    """The configuration of an evaluation of a checkpoint that holds the settings of a training."""
    path = tmp_path / "best.ckpt"
    content = {"state_dict": {"model.weight": torch.ones(1, 1)}, "tasks": {}, "epoch": 0, "global_step": 1}
    origin = {"schema": CHECKPOINT_SCHEMA, "config": plain(training(*trained_with)), "data": {}}
    torch.save({**content, "lr_schedulers": [], "gat_lightning": origin}, path)
    return composed("evaluate", f"checkpoint={path}", "paths.run=run", *overrides)


@pytest.mark.parametrize(
    ("trained_with", "overrides", "eps"),
    [
        (["data=digits"], [], 0.15),
        (["data=digits", "attack.eps=0.1"], [], 0.15),
        ([], ["attack.norm=L2"], "128/255"),
        ([], ["attack.norm=L1"], 12),
        (["data=digits", "attack.norm=L2", "attack.eps=0.7"], ["attack.norm=L2"], 0.7),
        (["data=digits", "attack.norm=L2", "attack.eps=0.7"], ["attack.norm=L2", "attack.eps=0.2"], 0.2),
        (["data=digits", "data.eps={Linf:0.1,L2:0.3}"], ["attack.norm=L2"], 0.3),
        (["data=digits", "attack.norm=L2", "attack.eps=0.7"], [], 0.15),
    ],
)
def test_radius_of_an_evaluation(tmp_path, trained_with, overrides, eps):
    config = evaluation(tmp_path, trained_with, "evaluation=pgd20+square", *overrides)
    assert config.attack.eps == eps
    assert {node.attack.eps for node in config.evaluation.values()} == {config.curve.attack.eps} == {eps}


@pytest.mark.parametrize(
    ("trained_with", "overrides", "path"),
    [
        (["data=digits"], ["attack.norm=L2"], "attack"),
        pytest.param(
            ["data=digits", "attack.norm=L2", "attack.eps=0.7"], ["attack.norm=L1"], "attack", marks=pytest.mark.slow
        ),
        (["data=digits", "attack.norm=L2", "attack.eps=0.7"], ["data=stl10", "attack.norm=L2"], "attack"),
        pytest.param(
            ["data=digits"],
            ["attack.eps=0.3", "evaluation.pgd20.attack.norm=L2"],
            "evaluation.pgd20.attack",
            marks=pytest.mark.slow,
        ),
        (["data=digits"], ["curve.attack.norm=L1"], "curve.attack"),
    ],
)
def test_an_evaluation_in_a_norm_without_a_radius_is_refused(tmp_path, trained_with, overrides, path):
    message = refusal(evaluation(tmp_path, trained_with, *overrides))
    assert message.startswith(f"{path}.norm=L")
    assert f"Set {path}.eps" in message


def test_a_checkpoint_is_read_once_for_all_attacks_of_an_evaluation(tmp_path, monkeypatch):
    config, loads = evaluation(tmp_path, ["data=digits"], "evaluation=full"), []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **named: loads.append(args) or load(*args, **named))
    plain(config)
    assert len(loads) <= 1
