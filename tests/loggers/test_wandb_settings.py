"""Online or offline, and how a run is labelled."""

import sys

import pytest
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import OmegaConf
from wandb.errors import AuthenticationError, CommError

from gat_lightning import loggers
from gat_lightning.config.messages import explain
from gat_lightning.errors import UserError
from gat_lightning.loggers.wandb import labels, logger, session
from gat_lightning.runs.environment import versions
from support.configurations import composed

SETTINGS_OF_WANDB = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "WANDB_MODE")
LABELS_OF_WANDB = ("WANDB_PROJECT", "WANDB_ENTITY", "WANDB_RUN_GROUP", "WANDB_TAGS", "WANDB_NAME", "WANDB_NOTES",
                   "WANDB_JOB_TYPE", "WANDB_RUN_ID")  # fmt: skip


class Settings:
    def __init__(self, mode="online", api_key=None, base_url="https://api.wandb.ai"):
        self.mode, self.api_key, self.base_url = mode, api_key, base_url


@pytest.mark.parametrize(
    ("environment", "settings", "in_netrc", "expected"),
    [
        ({}, Settings(), None, "offline"),
        ({"WANDB_API_KEY": "x" * 40}, Settings(), None, "online"),
        ({"WANDB_IDENTITY_TOKEN_FILE": "f"}, Settings(), None, "online"),
        ({}, Settings(api_key="x" * 40), None, "online"),
        ({}, Settings(), "api.wandb.ai", "online"),
        ({}, Settings(), "elsewhere.org", "offline"),
        ({}, Settings(base_url="https://wandb.own.org"), "wandb.own.org", "online"),
        ({"WANDB_API_KEY": "x" * 40, "WANDB_MODE": "offline"}, Settings(), None, "offline"),
        ({"WANDB_API_KEY": "x" * 40}, Settings(mode="offline"), None, "offline"),
        ({"WANDB_MODE": "disabled"}, Settings(), "api.wandb.ai", "disabled"),
        ({"WANDB_MODE": "online"}, Settings(), None, "offline"),
    ],
)
def test_online_where_there_is_a_key(tmp_path, monkeypatch, environment, settings, in_netrc, expected):
    for name in SETTINGS_OF_WANDB:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    if in_netrc:
        (tmp_path / "netrc").write_text(f"machine {in_netrc} login user password {'x' * 40}\n")
        (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setattr(session.wandb, "setup", lambda: type("Setup", (), {"settings": settings}))
    assert session.mode() == expected


def test_a_long_group_is_cut_and_stays_unique(monkeypatch):
    overrides = [["task=" + "a" * 200, "seed=1"], ["task=" + "a" * 201, "seed=1"], ["seed=2"]]
    groups = []
    for each in overrides:
        record = type("Record", (), {"overrides": type("Overrides", (), {"task": each})})
        monkeypatch.setattr(labels.HydraConfig, "initialized", lambda: True)
        monkeypatch.setattr(labels.HydraConfig, "get", lambda record=record: record)
        groups.append(labels.group())
    assert groups[2] == "defaults"
    assert len(set(groups)) == 3
    assert all(len(group) <= 128 for group in groups)


def test_tags_and_group_show_no_secret(monkeypatch):
    words = ["+encoder.api_token=hunter2hunter2", "task=macro", "seed=1"]
    overrides, runtime = type("Overrides", (), {"task": words}), type("Runtime", (), {"choices": {"task": "macro"}})
    record = type("Record", (), {"overrides": overrides, "runtime": runtime})
    monkeypatch.setattr(labels.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(labels.HydraConfig, "get", lambda: record)
    assert labels.tags() == ["task=macro", "+encoder.api_token=<hidden>", "seed=1"]
    text, _, digest = labels.group().rpartition(" ")
    assert text == "+encoder.api_token=<hidden> task=macro"
    assert len(digest) == 8


def test_hidden_settings_that_differ_are_of_different_groups(monkeypatch):
    groups = {}
    for seed, weights in enumerate(("/data/a.pt", "/data/b.pt", "/data/a.pt")):
        words = [f"encoder.weights={weights}", f"seed={seed}"]
        record = type("Record", (), {"overrides": type("Overrides", (), {"task": words})})
        monkeypatch.setattr(labels.HydraConfig, "initialized", lambda: True)
        monkeypatch.setattr(labels.HydraConfig, "get", lambda record=record: record)
        groups.setdefault(weights, set()).add(labels.group())
    assert [len(found) for found in groups.values()] == [1, 1]
    assert groups["/data/a.pt"] != groups["/data/b.pt"]
    assert not any("/data" in text for found in groups.values() for text in found)


@pytest.mark.parametrize(
    ("environment", "typed", "expected"),
    [
        ({}, [], {"project": "gat-lightning", "group": "defaults", "job_type": "train", "name": "run", "notes": None}),
        (
            {"WANDB_PROJECT": "hips", "WANDB_ENTITY": "team", "WANDB_RUN_GROUP": "g", "WANDB_TAGS": "a, b",
             "WANDB_NAME": "first", "WANDB_NOTES": "why", "WANDB_JOB_TYPE": "sweep"}, [],
            {"project": "hips", "entity": "team", "group": "g", "job_type": "sweep", "name": "first", "notes": "why"},
        ),
        (
            {"WANDB_PROJECT": "hips", "WANDB_ENTITY": "team", "WANDB_RUN_GROUP": "g", "WANDB_TAGS": "c"},
            ["project=own", "entity=me", "group=mine", "tags=[a,b]", "job_type=test"],
            {"project": "own", "entity": "me", "group": "mine", "job_type": "test"},
        ),
    ],
)  # fmt: skip
def test_labels_of_settings_of_the_environment_and_of_ours(tmp_path, monkeypatch, environment, typed, expected):
    for name in LABELS_OF_WANDB:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    started = {"mode": RunMode.RUN, "runtime": {"choices": {"task": "macro"}}, "overrides": {"task": ["seed=1"]}}
    opened = {}
    monkeypatch.setattr(logger, "open_run", lambda *_, **arguments: opened.update(arguments) or FakeRun())
    typed = [f"logger.wandb.{each}" for each in typed]
    config = composed("train", "logger=wandb", f"paths.run={tmp_path}/run", *typed)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(labels.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(labels.HydraConfig, "get", lambda: OmegaConf.create(started))
    instantiate(config.logger.wandb).begin({}, None)
    assert opened | expected == opened
    own = ["a", "b"] if typed or "WANDB_TAGS" in environment else []
    assert opened["tags"] == ["task=macro", "seed=1", *own]


class FakeRun:
    offline = False

    def define_metric(self, *_, **__):
        pass


def test_a_server_out_of_reach_leaves_the_run_offline(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(session, "mode", lambda: "online")
    modes = []

    def init(settings, **_):
        modes.append(settings.mode)
        if settings.mode == "online":
            raise CommError("Run initialization has timed out after 30.0 sec.\nPlease try again.")
        return FakeRun()

    monkeypatch.setattr(session.wandb, "init", init)
    monkeypatch.setattr(session.wandb, "teardown", lambda: modes.append("stopped"))
    session.open_run(tmp_path / "my run", system_metrics=False)
    assert modes == ["online", "stopped", "offline"]
    (said,) = caplog.messages
    assert "cannot be reached (Run initialization has timed out after 30.0 sec.)" in said
    assert f"wandb sync '{tmp_path}/my run/wandb'/offline-run-*" in said


def test_a_key_that_is_refused_does_not_pass_as_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "mode", lambda: "online")

    def init(**_):
        raise AuthenticationError("The API key you provided is either invalid or missing.")

    monkeypatch.setattr(session.wandb, "init", init)
    with pytest.raises(UserError, match="W&B cannot start: The API key you provided is either invalid or missing"):
        session.open_run(tmp_path, system_metrics=False)


@pytest.mark.parametrize("wanted", [False, True])
def test_only_what_is_asked_for_is_recorded_of_the_machine(tmp_path, monkeypatch, wanted):
    monkeypatch.setattr(logger, "git_state", lambda: {"commit": "0123", "dirty": False})
    opened = {}
    monkeypatch.setattr(logger, "open_run", lambda *given, **named: opened.update(named, given=given) or FakeRun())
    (tmp_path / "run").mkdir()
    logger.WandbLogger(tmp_path / "run", "p", system_metrics=wanted, environment=wanted).begin({"seed": 0}, None)
    assert opened["given"] == (tmp_path / "run", wanted)
    found = opened["config"].get("environment")
    assert found == ({"git": {"commit": "0123", "dirty": False}, "versions": versions()} if wanted else None)
    assert session._settings(tmp_path, "offline", wanted).x_disable_stats is not wanted


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "gat_lightning.loggers.wandb")
    monkeypatch.delattr(loggers, "wandb")
    with pytest.raises(InstantiationException) as error:
        instantiate({"_target_": "gat_lightning.loggers.wandb.WandbLogger", "directory": ".", "project": "p"})
    assert explain(error.value) == "logger=wandb needs the package wandb: pip install wandb"
