"""Nothing leaves the machine that is not known to be harmless."""

import json
from itertools import zip_longest

import pytest
from omegaconf import OmegaConf

from gat_lightning.config.files import find_conf
from gat_lightning.loggers import public_config
from gat_lightning.loggers.privacy import HIDDEN, public_override
from support.configurations import composed

PRIVATE = [
    "/home/Ada Quirk/data/CheXpert-v1.0-small", "~/data/x.npz", "~adaquirk/data/", "../adaquirk/own.npz", "./own.npz",
    "data/adaquirk/own.npz", r"C:\Users\adaquirk\own.npz", "D:/data/own.npz", r"\\server\share\own.npz", "own.npz",
    "file:///mnt/secret/f.pt", "https://ada:pw@host.org/path", "s3://bucket/path", "adaquirk", "Ada Quirk",
    "ada.quirk@hospital.org", "key s3cr3t-0123456789!", "St Mary's, ward 3", "10.1.2.3:5000", "/p/q,/r/s", "2026-11-28",
]  # fmt: skip
HARMLESS = [3, 0.5, True, None, "8/255", "1e-3", "-4", "0.25"]
GROUPS = ["attack", "augment", "callbacks", "data", "encoder", "method", "optimizer", "schedule", "task", "weighting"]
NOT_SHOWN = {"dirpath", "filename", "root", "monitor", "teacher"}


@pytest.mark.parametrize("text", PRIVATE)
def test_unknown_text_is_hidden(text):
    node = {"path": text, "list": [text, {"deep": text}], "numbers": HARMLESS}
    public = public_config(OmegaConf.create({"data": node, "init": text, "paths": {"run": text}}))
    assert public == {
        "data": {"path": HIDDEN, "list": [HIDDEN, {"deep": HIDDEN}], "numbers": HARMLESS},
        "init": HIDDEN,
    }


@pytest.mark.parametrize("text", [text for text in PRIVATE if set(text) & set("/\\ @:")])
def test_a_setting_of_names_shows_names_alone(text):
    node = {"name": text, "_target_": text}
    public = public_config(OmegaConf.create({"name": text, "encoder": node, "test": {"attack": {"norm": text}}}))
    hidden = {"name": HIDDEN, "_target_": HIDDEN}
    assert public == {"name": HIDDEN, "encoder": hidden, "test": {"attack": {"norm": HIDDEN}}}


def test_a_key_that_is_no_name_is_left_out():
    table = {"/mnt/secret": 1, "Ada Quirk": 2, "ada@x.org": 3, "class/clean+adv": 0.5, 3: "text"}
    assert public_config(OmegaConf.create({"weighting": {"weights": table}})) == {
        "weighting": {"weights": {"class/clean+adv": 0.5, "3": HIDDEN}}
    }


def test_what_is_resolved_is_judged_by_its_value(monkeypatch):
    monkeypatch.setenv("HOME", "/home/Ada Quirk")
    config = OmegaConf.create(
        {
            "paths": {"run": "/home/Ada Quirk/runs/x", "data": "/mnt/of/hospital"},
            "logger": {"wandb": {"directory": "${paths.run}"}},
            "hydra": {"mode": "/home/Ada Quirk"},
            "data": {"root": "${paths.data}/cifar10", "path": "${oc.env:HOME}/own.npz", "eps": "8/255"},
            "attack": {"_target_": "gat_lightning.attacks.PGD", "eps": "${data.eps}", "norm": "Linf"},
            "callbacks": {"best": {"dirpath": "${paths.run}/checkpoints", "monitor": "val/selection", "mode": "max"}},
        }
    )
    public = public_config(config)
    assert public == {
        "data": {"root": HIDDEN, "path": HIDDEN, "eps": "8/255"},
        "attack": {"_target_": "gat_lightning.attacks.PGD", "eps": "8/255", "norm": "Linf"},
        "callbacks": {"best": {"dirpath": HIDDEN, "monitor": HIDDEN, "mode": "max"}},
    }
    assert config.paths.run == "/home/Ada Quirk/runs/x"
    json.dumps(public)


def hidden_settings(public, node, name=""):
    """Dotted names of the settings of a node that are not shown as they are."""
    if isinstance(node, dict):
        assert {str(key) for key in node} == public.keys()
        return {found for key in node for found in hidden_settings(public[str(key)], node[key], f"{name}.{key}")}
    if isinstance(node, list):
        return {found for one, two in zip(public, node, strict=True) for found in hidden_settings(one, two, name)}
    return set() if public == node else {name}


def every_option_once():
    """Lists of options, at most one of each group."""
    found = [[f"{group}={path.stem}" for path in sorted((find_conf() / group).glob("*.yaml"))] for group in GROUPS]
    return [[word for word in words if word] for words in zip_longest(*found, ["experiment=paper/table2"])]


@pytest.mark.parametrize("words", every_option_once(), ids=" ".join)
def test_every_option_of_ours_is_shown_but_for_places_and_columns(words):
    config = composed("train", *words, "paths.run=/x/y", "paths.data=/mnt/secret")
    public = public_config(config)
    plain = OmegaConf.to_container(config, resolve=True)
    found = hidden_settings(public, {key: plain[key] for key in public})
    assert {name.rpartition(".")[2] for name in found} <= NOT_SHOWN
    assert set(plain) - set(public) == {"paths", "logger"}


@pytest.mark.parametrize(
    ("override", "public"),
    [
        ("unlabeled.teacher=ema", "unlabeled.teacher=ema"),
        ("unlabeled.teacher=doe.ckpt", "unlabeled.teacher=<hidden>"),
        ("data.unlabeled=rest", "data.unlabeled=rest"),
        ("data.unlabeled=clinic", "data.unlabeled=<hidden>"),
        ("+encoder.api_token=hunter2hunter2", "+encoder.api_token=<hidden>"),
        ("++credentials.user='ada and more'", "++credentials.user=<hidden>"),
        ("+encoder={width:4,password:hunter2}", "+encoder={'width': 4, 'password': '<hidden>'}"),
        ("+encoder.keys=[{secret:a},b]", "+encoder.keys=[{'secret': '<hidden>'}, '<hidden>']"),
        (
            "pretraining=['+encoder.api_token=hunter2','seed=3']",
            "pretraining=['+encoder.api_token=<hidden>', 'seed=3']",
        ),
        ("data.root=/data/of/hospital/x", "data.root=<hidden>"),
        ("init=runs/ada/last.ckpt", "init=<hidden>"),
        ("task=/home/ada/own", "task=<hidden>"),
        ("site=StMary", "site=<hidden>"),
        ("a=1,2", "a=<hidden>"),
        ("attack.eps=${oc.env:HOME}", "attack.eps=<hidden>"),
        ("not = [an override, api_token=hunter2", "<hidden>"),
    ],
)
def test_an_override_shows_nothing_unknown(override, public):
    assert public_override(override) == public


@pytest.mark.parametrize(
    "override",
    [
        "task=macro+rotation", "experiment=paper/table2", "attack@validation.attack=pgd", "attack.eps=8/255",
        "attack.norm=L2", "+encoder.patch_tokens=16", "~trainer.precision", "seed=3", "curvature.mode=off",
        "method._target_=own.methods.Mine", "optimizer.lr=1e-3", "callbacks=default+ema", "data.target=edema",
        "+evaluation.pgd20.attack.norm=Linf", "weighting.floor={target:0.5}",
    ],
)  # fmt: skip
def test_a_known_override_is_shown_as_it_is_typed(override):
    assert public_override(override) == override


def test_overrides_in_the_configuration_are_treated_like_typed_ones():
    config = OmegaConf.create({"pretraining": ["+encoder.api_token=hunter2", "data.root=/mnt/x", "data.target=none"]})
    assert public_config(config) == {
        "pretraining": ["+encoder.api_token=<hidden>", "data.root=<hidden>", "data.target=none"]
    }
