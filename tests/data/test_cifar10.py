import hashlib
import pickle
import tarfile

import numpy as np
import pytest
import torch

from gat_lightning.data import CIFAR10
from gat_lightning.data.cifar10 import OFFICIAL
from gat_lightning.errors import UserError

PER_BATCH = 40


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A tiny set in the official format: an archive, and its MD5 sums in place of the real ones."""
    build = tmp_path / "build"
    folder = build / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name):
        entry = {
            "batch_label": name,
            "labels": [i % 10 for i in range(PER_BATCH)],
            "data": rng.integers(0, 256, (PER_BATCH, 3072), dtype=np.uint8),
            "filenames": [f"{i}.png" for i in range(PER_BATCH)],
        }
        # The official files, written by Python 2, give the flags of a dtype as numbers.
        content = pickle.dumps(entry, protocol=2).replace(b"\x89\x88\x87", b"K\x00K\x01\x87", 1)
        assert b"K\x00K\x01\x87" in content
        (folder / name).write_bytes(content)
        return [name, md5(folder / name)]

    monkeypatch.setattr(OFFICIAL, "train_list", [write(f"data_batch_{i}") for i in range(1, 6)])
    monkeypatch.setattr(OFFICIAL, "test_list", [write("test_batch")])
    archive = build / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(OFFICIAL, "tgz_md5", md5(archive))
    monkeypatch.setattr(OFFICIAL, "url", (build / "absent.tar.gz").as_uri())
    return build


def assert_has_the_images_of(build, data):
    data.prepare_data()
    data.setup()
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [180, 20, PER_BATCH]
    entry = pickle.loads((build / "cifar-10-batches-py" / "test_batch").read_bytes())
    batch = data.split("test").__getitems__(list(range(PER_BATCH)))
    red_first = torch.from_numpy(entry["data"]).view(-1, 3, 32, 32)
    assert torch.equal(batch.images, red_first.float() / 255)
    assert batch.labels["class"].tolist() == entry["labels"]
    assert torch.equal(batch.labels["macro"] == 0, torch.isin(batch.labels["class"], torch.tensor([0, 1, 8, 9])))


def test_unpacked_files(official):
    assert_has_the_images_of(official, CIFAR10(root=official, download=False))


def test_archive_is_unpacked(official, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (official / OFFICIAL.filename).rename(root / OFFICIAL.filename)
    assert_has_the_images_of(official, CIFAR10(root=root, download=False))


def test_an_interrupted_unpacking_is_repeated(official):
    (official / "cifar-10-batches-py" / "data_batch_3").unlink()
    assert_has_the_images_of(official, CIFAR10(root=official, download=False))


def test_download(official, tmp_path, monkeypatch):
    monkeypatch.setattr(OFFICIAL, "url", (official / OFFICIAL.filename).as_uri())
    root = tmp_path / "new" / "data"
    assert_has_the_images_of(official, CIFAR10(root=str(root)))
    assert sorted(path.name for path in root.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


@pytest.mark.parametrize(("download", "why"), [(True, "cannot be downloaded"), (False, "data.download is false")])
def test_nothing_there(official, tmp_path, download, why):
    root = tmp_path / "empty"
    with pytest.raises(UserError) as caught:
        CIFAR10(root=root, download=download).prepare_data()
    message = str(caught.value)
    for part in (why, str(root / "cifar-10-python.tar.gz"), "University of Toronto", "data=digits"):
        assert part in message
    assert not root.exists() or not list(root.iterdir())


def test_damaged_archive_is_named(official, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    content = (official / OFFICIAL.filename).read_bytes()
    (root / OFFICIAL.filename).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz is damaged or not the official file"):
        CIFAR10(root=root).prepare_data()


def test_damaged_batch_is_named_and_not_unpickled(official, tmp_path):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return marker.write_text, ("",)

    (official / "cifar-10-batches-py" / "data_batch_4").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(UserError, match=r"data_batch_4 is damaged or not the official file"):
        CIFAR10(root=official).load()
    assert not marker.exists()


def test_info_reads_no_file(tmp_path):
    info = CIFAR10(root=tmp_path / "nowhere").info
    assert info.image == (3, 32, 32)
    assert info.labels["class"].classes[9] == "truck"
    assert info.labels["macro"].classes == ("vehicle", "animal")
