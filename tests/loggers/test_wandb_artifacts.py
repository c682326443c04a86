"""Checkpoints as artifacts: on request, usable, and without a trace of the machine."""

import getpass

import pytest
import torch

from gat_lightning.config.checkpoint import load_classifier
from gat_lightning.errors import UserError
from gat_lightning.loggers.privacy import write_shareable
from gat_lightning.loggers.wandb import WandbLogger
from support.training_runs import SHORT, trained
from support.wandb_file import complete_records


def test_a_shareable_copy_gives_the_same_classifier_and_tells_nothing(quickstart, tmp_path):
    checkpoint = quickstart[0] / "checkpoints" / "best.ckpt"
    copy = tmp_path / "best.ckpt"
    write_shareable(checkpoint, copy)
    images = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(load_classifier(copy)(images), load_classifier(checkpoint)(images))
    content = torch.load(copy, weights_only=True)
    assert not {"callbacks", "loops", "optimizer_states"} & set(content)
    told = repr({key: value for key, value in content.items() if key != "state_dict"})
    for secret in (str(quickstart[0]), str(quickstart[0].parent), "/tmp/", f"/{getpass.getuser()}/"):
        assert secret not in told
    assert {"callbacks", "loops", "optimizer_states"} < set(torch.load(checkpoint, weights_only=True))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("checkpoints", "names"), [pytest.param("best", ["best"], marks=pytest.mark.slow), ("all", ["best", "last"])]
)
def test_artifacts_on_request(tmp_path, monkeypatch, checkpoints, names):
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("WANDB_MODE", "offline")
    trained(tmp_path / "run", *SHORT, "logger=wandb", f"logger.wandb.checkpoints={checkpoints}")
    (path,) = (tmp_path / "run").glob("wandb/offline-run-*/*.wandb")
    logged = [
        record.request.log_artifact.artifact if record.HasField("request") else record.artifact
        for record in complete_records(path)
        if record.WhichOneof("record_type") == "artifact"
        or (record.HasField("request") and record.request.WhichOneof("request_type") == "log_artifact")
    ]
    number = (tmp_path / "run" / "wandb_id.txt").read_text().strip()
    assert [artifact.name for artifact in logged] == [f"{number}-{name}" for name in names]
    assert {artifact.type for artifact in logged} == {"model"}


def test_an_unknown_choice_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"logger\.wandb\.checkpoints is 'some'; it must be one of: none, best, all"):
        WandbLogger(tmp_path, "project", checkpoints="some")
