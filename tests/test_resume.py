"""A run that was killed and resumed ends as the run that was not, bit by bit."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from gat_lightning.checkpoint import find_resumable, initialise, load_checkpoint, load_classifier
from gat_lightning.errors import UserError
from gat_lightning.run_directory import run_name
from test_train import TINY, rows, tiny, trained

FOUR_EPOCHS = ["experiment=quickstart", *TINY, "trainer.max_epochs=4", "callbacks.last.minutes=0"]


def start(output, *overrides):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "gat_lightning.train", *FOUR_EPOCHS, f"paths.output={output}", *overrides]
    output.mkdir(exist_ok=True)
    with (output / "log.txt").open("a") as log:
        return subprocess.Popen(arguments, env=environment, stdout=log, stderr=subprocess.STDOUT)


def only_run(output):
    (directory,) = output.glob("quickstart-*")
    return directory


def equal(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def deterministic(row):
    return {name: value for name, value in row.items() if name != "images_per_second" and value}


def test_killed_in_the_middle_of_an_epoch_and_resumed(tmp_path):
    whole = start(tmp_path / "whole")
    killed = start(tmp_path / "killed")
    last = None
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        time.sleep(0.05)
        last = next((tmp_path / "killed").glob("*/checkpoints/last.ckpt"), None)
        if last and (content := load_checkpoint(last))["epoch"] == 2 and content["global_step"] in (12, 13):
            killed.send_signal(signal.SIGKILL)
            break
    assert killed.wait(30) == -signal.SIGKILL
    assert load_checkpoint(last)["global_step"] < 15, "killed at the end of the epoch, not in the middle"
    assert not (only_run(tmp_path / "killed") / "result.json").exists()

    resumed = start(tmp_path / "killed", "resume=auto")
    assert resumed.wait(200) == 0, (tmp_path / "killed" / "log.txt").read_text()
    assert whole.wait(200) == 0, (tmp_path / "whole" / "log.txt").read_text()

    directories = [only_run(tmp_path / name) for name in ("whole", "killed")]
    for name in ("last", "best"):
        first, second = (load_checkpoint(directory / "checkpoints" / f"{name}.ckpt") for directory in directories)
        assert first["global_step"] == second["global_step"]
        for key in ("state_dict", "optimizer_states", "lr_schedulers"):
            assert equal(first[key], second[key]), (name, key)
    results = [json.loads((directory / "result.json").read_text()) for directory in directories]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["resumed"] is None
    assert results[1]["resumed"].endswith("last.ckpt")
    first, second = ([deterministic(row) for row in rows(directory)] for directory in directories)
    assert first == second


def test_auto_without_a_checkpoint_starts_anew(tmp_path):
    result = trained(tmp_path, "resume=auto", "trainer.max_epochs=1")
    assert result["resumed"] is None


def test_the_directory_is_found_again_until_the_run_is_finished(tmp_path):
    config = tiny(tmp_path / "x", f"paths.output={tmp_path}")
    again = tiny(tmp_path / "y", f"paths.output={tmp_path}", "resume=auto")
    assert run_name(config) == run_name(again)


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("short") / "run"
    trained(directory, "trainer.max_epochs=1")
    return directory


def test_a_run_directory_or_a_file_can_be_resumed(short_run, tmp_path):
    last = short_run / "checkpoints" / "last.ckpt"
    assert find_resumable(str(short_run), tmp_path) == last
    assert find_resumable(str(last), tmp_path) == last
    assert find_resumable(None, short_run) is None
    assert find_resumable("auto", short_run) == last
    with pytest.raises(UserError, match="There is no checkpoint"):
        find_resumable(str(tmp_path), tmp_path)


def test_init_takes_encoder_and_fitting_decoders(short_run, tmp_path):
    from gat_lightning.assembly import build_data, build_module

    config = tiny(tmp_path, "task=rotation+jigsaw", "seed=5")
    model = build_module(config, build_data(config).info).model
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    assert initialise(model, short_run / "checkpoints" / "last.ckpt") == ["class", "rotation"]
    theirs = load_checkpoint(short_run / "checkpoints" / "last.ckpt")["state_dict"]
    for name, value in model.state_dict().items():
        source = fresh[name] if "jigsaw" in name else theirs[f"model.{name}"]
        assert torch.equal(value, source), name


def test_init_is_where_a_new_run_begins(short_run, tmp_path):
    last = short_run / "checkpoints" / "last.ckpt"
    trained(tmp_path, f"init={last}", "trainer.max_epochs=1", "optimizer.lr=1e-30", "task=none", "weighting=mgda")
    before = load_classifier(last).state_dict()
    after = load_classifier(tmp_path / "checkpoints" / "last.ckpt").state_dict()
    for name, value in before.items():
        if "running" not in name and "tracked" not in name:
            assert torch.allclose(value, after[name], atol=1e-20), name


def test_init_from_another_encoder_is_refused(short_run, tmp_path):
    last = short_run / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"The encoder of '.*' is not this run's: '.*' has shape .* there"):
        trained(tmp_path, f"init={last}", "encoder.width=8")
