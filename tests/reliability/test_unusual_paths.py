"""Spaces, unicode and read-only folders: the whole command works where people keep their files."""

import os
import subprocess

import numpy as np
import pytest

from gat_lightning.data import Arrays, Images
from gat_lightning.runs.result import read_result
from support.picture_folders import save
from support.processes import finished, only_run, start

NAMES = ["with space", "ümläut ✓ 数据", "a=b,c", "[brackets] {and} #more", 'quote\'s "double"', "x" * 200]


def npz(path):
    labels = np.arange(80) % 4
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), np.uint8)
    np.savez(path, train_images=images, train_labels=labels, test_images=images[:20], test_labels=labels[:20])


@pytest.mark.parametrize("name", NAMES)
def test_readers(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    npz(folder / "own.npz")
    assert len(Arrays(path=folder / "own.npz").load().train.images) == 80
    for cls in ("ant", "bée"):
        for number in range(5):
            save(folder / "pictures" / cls / f"{number} ö.png")
    data = Images(root=folder / "pictures", size=8)
    data.setup()
    assert data.info.labels["class"].classes == ("ant", "bée")


@pytest.fixture
def read_only(tmp_path):
    """A folder that even root cannot write to, or skips."""
    folder = tmp_path / "read only"
    folder.mkdir()
    npz(folder / "own.npz")
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], capture_output=True, check=False)
    if mounted.returncode == 0:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield folder
        subprocess.run(["umount", folder], check=True)
        return
    if os.geteuid() == 0:
        pytest.skip("a read-only folder for root needs a mount")
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


@pytest.mark.slow
def test_data_in_a_read_only_folder(tmp_path, read_only):
    with pytest.raises(OSError, match=r"Read-only|Permission"):
        (read_only / "new").write_text("")
    output = tmp_path / "elsewhere"
    settings = ["data=arrays", f"data.path='{read_only / 'own.npz'}'", "data.fraction=1.0", "trainer.max_epochs=1"]
    assert finished(start(output, *settings, "task=rotation"), output) == 0, (output / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[:2])
def test_a_run_from_data_to_resume(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    npz(folder / "own.npz")
    settings = ["data=arrays", f"data.path='{folder / 'own.npz'}'", "data.fraction=1.0", "task=rotation"]
    settings += ["schedule=cosine"]
    assert finished(start(folder, *settings, "trainer.max_epochs=1"), folder) == 0, (folder / "log.txt").read_text()
    last = only_run(folder) / "checkpoints" / "last.ckpt"
    again = folder / "again"
    resumed = start(again, *settings, "trainer.max_epochs=2", f"resume='{last}'")
    assert finished(resumed, again) == 0, (again / "log.txt").read_text()
    assert read_result(only_run(again)).resumed == str(last)


@pytest.mark.slow
def test_runs_that_cannot_be_written(tmp_path, read_only):
    process = start(tmp_path, f"paths.output='{read_only / 'outputs'}'")
    assert finished(process, tmp_path) == 1
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in log
    assert "Set paths.output=FOLDER to where files may be written." in log
