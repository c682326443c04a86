"""A run that was killed and resumed ends as the run that was not, bit by bit."""

import json
import logging
import signal
import time

import pytest
import torch

from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.checkpoint import load_checkpoint, load_classifier
from gat_lightning.config.resuming import find_resumable, initialise
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import run_name
from support.interrupting import interrupt
from support.processes import only_run, start_command
from support.training_runs import SHORT, assert_same_run, tiny, trained


@pytest.mark.slow
def test_killed_in_the_middle_of_an_epoch_and_resumed(tmp_path):
    whole = start_command(tmp_path / "whole", "trainer.max_epochs=4")
    killed = start_command(tmp_path / "killed", "trainer.max_epochs=4")
    last = None
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        time.sleep(0.05)
        last = next((tmp_path / "killed").glob("outputs/*/checkpoints/last.ckpt"), None)
        if last and (content := load_checkpoint(last))["epoch"] == 2 and content["global_step"] in (12, 13):
            killed.send_signal(signal.SIGKILL)
            break
    assert killed.wait(30) == -signal.SIGKILL
    assert load_checkpoint(last)["global_step"] < 15, "killed at the end of the epoch, not in the middle"
    assert not (only_run(tmp_path / "killed") / "result.json").exists()

    resumed = start_command(tmp_path / "killed", "trainer.max_epochs=4", "resume=auto")
    assert resumed.wait(200) == 0, (tmp_path / "killed" / "log.txt").read_text()
    assert whole.wait(200) == 0, (tmp_path / "whole" / "log.txt").read_text()

    assert_same_run(only_run(tmp_path / "whole"), only_run(tmp_path / "killed"))


@pytest.mark.usefixtures("undrawn")
def test_interrupted_in_the_middle_of_an_epoch_and_resumed(quickstart, tmp_path, caplog):
    every_step = "callbacks.last.minutes=0"
    interrupt(tmp_path, "resume=auto", every_step)
    interrupted = json.loads((tmp_path / "result.json").read_text())
    assert (interrupted["status"], interrupted["resumed"], interrupted["metrics"]) == ("interrupted", None, {})
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert load_checkpoint(last)["global_step"] == 5 + 3
    assert f"Interrupted; the same command goes on from {last}." in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        trained(tmp_path, "resume=auto", every_step)
    assert f"Resumed from {last}, saved after 8 steps, in epoch 2 of 2." in caplog.text
    assert_same_run(quickstart[0], tmp_path)


def test_the_directory_is_found_again_until_the_run_is_finished(tmp_path):
    config = tiny(tmp_path / "x", f"paths.output={tmp_path}")
    again = tiny(tmp_path / "y", f"paths.output={tmp_path}", "resume=auto")
    assert run_name(config) == run_name(again)


def test_a_run_directory_or_a_file_can_be_resumed(quickstart, tmp_path):
    short_run = quickstart[0]
    last = short_run / "checkpoints" / "last.ckpt"
    assert find_resumable(str(short_run), tmp_path) == last
    assert find_resumable(str(last), tmp_path) == last
    assert find_resumable(None, short_run) is None
    assert find_resumable("auto", short_run) == last
    assert find_resumable("auto", tmp_path) is None
    with pytest.raises(UserError, match="There is no checkpoint"):
        find_resumable(str(tmp_path), tmp_path)


def test_init_takes_encoder_and_fitting_decoders(quickstart, tmp_path):
    last = quickstart[0] / "checkpoints" / "last.ckpt"
    config = tiny(tmp_path, "task=rotation+jigsaw", "seed=5")
    model = build_module(config, build_data(config).info).model
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    assert initialise(model, last) == ["class", "rotation"]
    theirs = load_checkpoint(last)["state_dict"]
    for name, value in model.state_dict().items():
        source = fresh[name] if "jigsaw" in name else theirs[f"model.{name}"]
        assert torch.equal(value, source), name


@pytest.mark.usefixtures("undrawn")
def test_init_is_where_a_new_run_begins(quickstart, tmp_path):
    last = quickstart[0] / "checkpoints" / "last.ckpt"
    trained(tmp_path, *SHORT, f"init={last}", "optimizer.lr=1e-30", "task=none", "weighting=mgda")
    before = load_classifier(last).state_dict()
    after = load_classifier(tmp_path / "checkpoints" / "last.ckpt").state_dict()
    for name, value in before.items():
        if "running" not in name and "tracked" not in name:
            assert torch.allclose(value, after[name], atol=1e-20), name


def test_init_from_another_encoder_is_refused(quickstart, tmp_path):
    last = quickstart[0] / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"The encoder of '.*' is not this run's: '.*' has shape .* there"):
        trained(tmp_path, f"init={last}", "encoder.width=8")
