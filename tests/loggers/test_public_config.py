"""What leaves the machine names no place on its disks, no user and no secret."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gat_lightning.loggers import public_config, public_text
from gat_lightning.loggers.privacy import public_override

SECRET = "s3cr3t-0123456789"


@pytest.fixture(autouse=True)
def somebody(monkeypatch):
    monkeypatch.setenv("HOME", "/home/Ada Quirk")
    monkeypatch.setenv("LOGNAME", "adaquirk")
    monkeypatch.setenv("SERVICE_API_KEY", SECRET)
    monkeypatch.setenv("AUTH_LEVEL", "low")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/home/Ada Quirk/data/CheXpert-v1.0-small", "CheXpert-v1.0-small"),
        ("/home/Ada Quirk", "~"),
        ("~/data/x.npz", "x.npz"),
        ("~adaquirk/data/", "data"),
        ("../adaquirk/own.npz", "own.npz"),
        ("./own.npz", "own.npz"),
        ("/scratch/adaquirk", "user"),
        ("data/adaquirk/own.npz", "data/user/own.npz"),
        ("adaquirk/own.npz", "user/own.npz"),
        (r"C:\Users\adaquirk\own.npz", "own.npz"),
        ("data.root=/data/of/hospital/x", "data.root=x"),
        ("+a=/x/y,b=[/p/q,'/r/s']", "+a=y,b=[q,'s']"),
        (f"key {SECRET}!", "key <hidden>!"),
        ("https://ada:pw@host.org/path", "https://host.org/path"),
        ("s3://ada:pw@bucket/path", "s3://bucket/path"),
        ("+a={path:/mnt/secret/place/f.pt,b:1}", "+a={path:f.pt,b:1}"),
        (r"{path:C:\Users\adaquirk\own.npz}", "{path:own.npz}"),
        ("at D:/data/own.npz", "at own.npz"),
        ("{path:~/own.npz,other:../up/x.npz}", "{path:own.npz,other:x.npz}"),
        ("from file:///mnt/secret/f.pt", "from file:f.pt"),
    ],
)
def test_cut_or_hidden(text, public):
    assert public_text(text) == public


@pytest.mark.parametrize(
    "text",
    ["8/255", "attack.eps=8/255", "val/selection", "macro+rotation", "torch.optim.SGD", "a.b/c.d", "low", "1e-3", "",
     "data/cifar10", "https://host.org/path", "url:https://host.org/path", "{a:http://host:80/b,c:8/255}",
     "weighting=mgda task=macro", "0.1, 0.2", "adaquirkian", "a - b", "a / b"],
)  # fmt: skip
def test_left_as_it_is(text):
    assert public_text(text) == text


@pytest.mark.parametrize(
    ("override", "public"),
    [
        ("+encoder.api_token=hunter2hunter2", "+encoder.api_token=<hidden>"),
        ("++credentials.user='ada and more'", "++credentials.user=<hidden>"),
        ("+encoder={width:4,password:hunter2}", "+encoder={'width': 4, 'password': '<hidden>'}"),
        ("+encoder.keys=[{secret:a},b]", "+encoder.keys=[{'secret': '<hidden>'}, 'b']"),
        (
            "pretraining=['+encoder.api_token=hunter2','seed=3']",
            "pretraining=['+encoder.api_token=<hidden>', 'seed=3']",
        ),
        ("data.root=/data/of/hospital/x", "data.root=x"),
        ("+encoder.patch_tokens=16", "+encoder.patch_tokens=16"),
        ("task=macro+rotation", "task=macro+rotation"),
        ("~trainer.precision", "~trainer.precision"),
        ("not = [an override, api_token=hunter2", "<hidden>"),
    ],
)
def test_an_override_has_no_secret(override, public):
    assert public_override(override) == public


def test_overrides_in_the_configuration_have_no_secret():
    config = OmegaConf.create({"pretraining": ["+encoder.api_token=hunter2", "data.root=/mnt/x"]})
    assert public_config(config) == {"pretraining": ["+encoder.api_token=<hidden>", "data.root=x"]}


def test_configuration():
    config = OmegaConf.create(
        {
            "paths": {"run": "/home/Ada Quirk/runs/x", "data": "/mnt/of/hospital"},
            "logger": {"wandb": {"directory": "${paths.run}"}},
            "hydra": {"mode": "/home/Ada Quirk"},
            "data": {"root": "${paths.data}/cifar10", "path": "${oc.env:HOME}/own.npz", "fraction": 0.5, "none": None},
            "callbacks": {"last": {"dirpath": "${paths.run}/checkpoints", "monitor": "val/selection"}},
            "more": {"access_token": "abc", "list": ["/a/b", 3, {"password": "xyz"}], "flag": True, "it": SECRET},
            "table": {3: "/number/key"},
        }
    )
    public = public_config(config)
    assert public == {
        "data": {"root": "cifar10", "path": "own.npz", "fraction": 0.5, "none": None},
        "callbacks": {"last": {"dirpath": "checkpoints", "monitor": "val/selection"}},
        "more": {
            "access_token": "<hidden>",
            "list": ["b", 3, {"password": "<hidden>"}],
            "flag": True,
            "it": "<hidden>",
        },
        "table": {"3": "key"},
    }
    assert config.paths.run == "/home/Ada Quirk/runs/x"
    json.dumps(public)


def test_a_user_without_a_name(monkeypatch):
    def nameless():
        raise KeyError("uid")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert public_text("/a/b data/x") == "x"
    assert public_text("data/x") == "data/x"


def test_home_that_is_the_root(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/"))
    assert public_text("8/255") == "8/255"
