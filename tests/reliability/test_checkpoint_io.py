"""Whatever happens while a checkpoint is written, a whole one is there: the old or the new."""

import resource
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from gat_lightning.config.resuming import whole_checkpoint
from gat_lightning.errors import UserError
from gat_lightning.runs.checkpoint_io import PREVIOUS, DurableCheckpointIO

MEGABYTE = 2**20


def content(number, size=1000):
    return {"number": number, "weights": torch.full((size,), float(number))}


def number_in(path):
    return torch.load(path, weights_only=True)["number"]


def test_the_one_before_is_kept_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "last.ckpt"
    for number in range(4):
        DurableCheckpointIO().save_checkpoint(content(number), path)
    assert number_in(path) == 3
    assert number_in(path.with_name(path.name + PREVIOUS)) == 2
    assert len(list(path.parent.iterdir())) == 2


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    test_the_one_before_is_kept_and_nothing_else(tmp_path)


CHILD = """
import os, signal, sys
from pathlib import Path
import torch
from gat_lightning.runs.checkpoint_io import DurableCheckpointIO
step, path = sys.argv[1], Path(sys.argv[2])
DurableCheckpointIO().save_checkpoint({"number": 0}, path)
DurableCheckpointIO().save_checkpoint({"number": 1}, path)
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def half(content, file):
    file.write(b"PK half of a file")
    file.flush()
    die()
if step == "write":
    torch.save = half
elif step == "rename":
    Path.replace = die
else:
    setattr(os, step, die)
DurableCheckpointIO().save_checkpoint({"number": 2}, path)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["write", "fsync", "link", "rename"])
def test_a_kill_at_each_step_of_writing(tmp_path, step):
    path = tmp_path / "last.ckpt"
    killed = subprocess.run([sys.executable, "-c", CHILD, step, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert number_in(path) == 1
    DurableCheckpointIO().save_checkpoint(content(2), path)
    assert number_in(path) == 2
    assert number_in(path.with_name(path.name + PREVIOUS)) == 1
    assert len(list(tmp_path.iterdir())) == 2


def assert_refused(path, number, reason):
    with pytest.raises(
        UserError, match=rf"could not be written to .*last\.ckpt' \({reason}\); the one before it"
    ) as caught:
        DurableCheckpointIO().save_checkpoint(content(9, MEGABYTE), path)
    assert "resume=auto" in str(caught.value)
    assert number_in(path) == number
    assert not list(path.parent.glob(".*"))


def test_a_limit_on_the_size_of_files(tmp_path):
    path = tmp_path / "last.ckpt"
    DurableCheckpointIO().save_checkpoint(content(0), path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, before[1]))
    try:
        assert_refused(path, 0, "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk(small_disk):
    path = small_disk / "last.ckpt"
    DurableCheckpointIO().save_checkpoint(content(0), path)
    assert_refused(path, 0, "No space left on device")
    DurableCheckpointIO().save_checkpoint(content(1), path)
    assert number_in(path) == 1


def test_nothing_to_fall_back_on(tmp_path):
    path = tmp_path / "last.ckpt"
    path.mkdir()
    with pytest.raises(UserError, match="could not be written"):
        DurableCheckpointIO().save_checkpoint(content(0), path)


def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(quickstart, tmp_path, caplog):
    good = quickstart[0] / "checkpoints" / "last.ckpt"
    path = tmp_path / "last.ckpt"
    before = path.with_name(path.name + PREVIOUS)
    shutil.copy(good, path)
    assert whole_checkpoint(path) == path
    path.write_bytes(good.read_bytes()[:-1000])
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        whole_checkpoint(path)
    before.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"last\.ckpt' cannot be read as a checkpoint"):
        whole_checkpoint(path)
    shutil.copy(good, before)
    assert whole_checkpoint(path) == before
    assert "Going on from the one before it" in caplog.text
    path.unlink()
    assert whole_checkpoint(path) == before
