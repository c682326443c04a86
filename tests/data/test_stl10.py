import tarfile

import numpy as np
import pytest
import torch
from torchvision import datasets
from torchvision.datasets.utils import calculate_md5

from gat_lightning.data import STL10
from gat_lightning.data.stl10 import CLASSES, OFFICIAL
from gat_lightning.errors import UserError


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A tiny set in the official format, in an archive, and its MD5 sums in place of the real ones."""
    folder = tmp_path / "build" / "stl10_binary"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name):
        count = {"train": 40, "test": 20, "unlabeled": 30}[name.partition("_")[0]]
        content = np.arange(count) % 10 + 1 if "_y" in name else rng.integers(0, 256, count * 3 * 96 * 96)
        content.astype(np.uint8).tofile(folder / name)
        return [name, calculate_md5(folder / name)]

    for files in ("train_list", "test_list"):
        monkeypatch.setattr(OFFICIAL, files, [write(name) for name, _ in getattr(OFFICIAL, files)])
    (folder / "class_names.txt").write_text("\n".join(CLASSES))
    (folder / "fold_indices.txt").write_text("0 1\n")
    archive = tmp_path / "build" / OFFICIAL.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(OFFICIAL, "tgz_md5", calculate_md5(archive))
    monkeypatch.setattr(OFFICIAL, "url", archive.as_uri())
    return folder.parent


def test_a_download_gives_torchvisions_images_and_classes(official, tmp_path):
    data = STL10(root=tmp_path / "new")
    splits = data.load()
    for name, part in (("train", splits.train), ("test", splits.test)):
        theirs = datasets.STL10(official, split=name)
        assert torch.equal(part.images, torch.from_numpy(theirs.data))
        assert part.labels["class"].tolist() == theirs.labels.tolist()
        assert tuple(theirs.classes) == CLASSES
    assert data.info.image == splits.train.images.shape[1:]


def test_macro_classes_follow_stl10s_own_order(official):
    data = STL10(root=official, download=False)
    data.setup()
    labels = data.split("train").labels
    vehicles = {CLASSES[cls] for cls in labels["class"][labels["macro"] == 0]}
    assert vehicles == {"airplane", "car", "ship", "truck"}


def test_unlabelled_images_are_for_training_alone(official):
    plain, more = (STL10(root=official, unlabeled=unlabeled, batch_size=16) for unlabeled in (False, True))
    for data in (plain, more):
        data.setup()
    assert [len(more.split(name)) for name in ("train", "val", "test")] == [36 + 30, 4, 20]
    labels = more.split("train").labels
    assert ((labels["class"] == -1) == (labels["macro"] == -1)).all()
    assert int((labels["class"] == -1).sum()) == 30
    for name in ("val", "test"):
        assert (more.split(name).labels["class"] >= 0).all()
    kept = STL10(root=official, unlabeled=True, fraction=0.5)
    kept.setup()
    assert int((kept.split("train").labels["class"] == -1).sum()) == 15


def test_a_damaged_file_is_named(official):
    (official / "stl10_binary" / "test_X.bin").write_bytes(b"short")
    with pytest.raises(UserError, match=r"test_X\.bin is damaged or not the official file"):
        STL10(root=official).load()


def test_unlabelled_images_that_are_not_wanted_need_not_be_there(official):
    (official / "stl10_binary" / "unlabeled_X.bin").unlink()
    (official / OFFICIAL.filename).unlink()
    assert len(STL10(root=official, download=False).load().train.images) == 40
    with pytest.raises(UserError, match=r"STL-10 is not there and data\.download is false\. Put stl10_binary\.tar\.gz"):
        STL10(root=official, download=False, unlabeled=True).load()
