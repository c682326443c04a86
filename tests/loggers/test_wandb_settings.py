"""Online or offline, and how a run is labelled."""

import pytest

from gat_lightning.loggers.wandb import labels, session

SETTINGS_OF_WANDB = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "WANDB_MODE")


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
