import hashlib
import pickle
import tarfile

import numpy as np
import pytest
import torch

from gat_lightning.data import ArrayDataModule, LabelledImages, Splits, cifar10, stl10
from gat_lightning.info import DataInfo
from support.extra_images import INFO
from support.picture_folders import save


class Toy(ArrayDataModule):
    """110 + 23 random colour images of 5x4 pixels in 3 uneven classes; every image differs."""

    def describe(self) -> DataInfo:
        return INFO

    def load(self) -> Splits:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (133, 3, 5, 4), generator=generator, dtype=torch.uint8)
        labels = torch.randint(5, (133,), generator=generator).clamp(max=2)
        return Splits(
            LabelledImages(images[:110], {"class": labels[:110]}), LabelledImages(images[110:], {"class": labels[110:]})
        )


@pytest.fixture
def toy():
    def make(**settings) -> Toy:
        data = Toy(**settings)
        data.setup()
        return data

    return make


@pytest.fixture
def one_folder(tmp_path):
    """Uneven classes ant (30), bee (20) and cat (10) in one folder."""
    root = tmp_path / "one"
    for name, count in (("ant", 30), ("bee", 20), ("cat", 10)):
        for number in range(count):
            save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def two_folders(tmp_path):
    """Classes ant and bee, 10 pictures each in train and 3 in test."""
    root = tmp_path / "two"
    for split, count in (("train", 10), ("test", 3)):
        for name in ("ant", "bee"):
            for number in range(count):
                save(root / split / name / f"{split} {number:02}.png")
    return root


def _md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def official_cifar10(tmp_path, monkeypatch):
    """A tiny set in the official format: an archive, and its MD5 sums in place of the real ones."""
    build = tmp_path / "build"
    folder = build / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name):
        entry = {
            "batch_label": name,
            "labels": [i % 10 for i in range(40)],
            "data": rng.integers(0, 256, (40, 3072), dtype=np.uint8),
            "filenames": [f"{i}.png" for i in range(40)],
        }
        # The official files, written by Python 2, give the flags of a dtype as numbers.
        content = pickle.dumps(entry, protocol=2).replace(b"\x89\x88\x87", b"K\x00K\x01\x87", 1)
        assert b"K\x00K\x01\x87" in content
        (folder / name).write_bytes(content)
        return [name, _md5(folder / name)]

    monkeypatch.setattr(cifar10.OFFICIAL, "train_list", [write(f"data_batch_{i}") for i in range(1, 6)])
    monkeypatch.setattr(cifar10.OFFICIAL, "test_list", [write("test_batch")])
    archive = build / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(cifar10.OFFICIAL, "tgz_md5", _md5(archive))
    monkeypatch.setattr(cifar10.OFFICIAL, "url", (build / "absent.tar.gz").as_uri())
    return build


@pytest.fixture
def official_stl10(tmp_path, monkeypatch):
    """A tiny set in the official format, in an archive, and its MD5 sums in place of the real ones."""
    folder = tmp_path / "build" / "stl10_binary"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name):
        count = {"train": 40, "test": 20, "unlabeled": 30}[name.partition("_")[0]]
        content = np.arange(count) % 10 + 1 if "_y" in name else rng.integers(0, 256, count * 3 * 96 * 96)
        content.astype(np.uint8).tofile(folder / name)
        return [name, _md5(folder / name)]

    for files in ("train_list", "test_list"):
        monkeypatch.setattr(stl10.OFFICIAL, files, [write(name) for name, _ in getattr(stl10.OFFICIAL, files)])
    (folder / "class_names.txt").write_text("\n".join(stl10.CLASSES))
    (folder / "fold_indices.txt").write_text("0 1\n")
    archive = tmp_path / "build" / stl10.OFFICIAL.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(stl10.OFFICIAL, "tgz_md5", _md5(archive))
    monkeypatch.setattr(stl10.OFFICIAL, "url", archive.as_uri())
    return folder.parent
