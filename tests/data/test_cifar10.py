import hashlib
import pickle

import pytest
import torch

from gat_lightning.data import CIFAR10
from gat_lightning.data.cifar10 import OFFICIAL
from gat_lightning.errors import UserError

PER_BATCH = 40


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


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


def test_unpacked_files(official_cifar10):
    assert_has_the_images_of(official_cifar10, CIFAR10(root=official_cifar10, download=False))


def test_archive_is_unpacked(official_cifar10, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (official_cifar10 / OFFICIAL.filename).rename(root / OFFICIAL.filename)
    assert_has_the_images_of(official_cifar10, CIFAR10(root=root, download=False))


def test_an_interrupted_unpacking_is_repeated(official_cifar10):
    (official_cifar10 / "cifar-10-batches-py" / "data_batch_3").unlink()
    assert_has_the_images_of(official_cifar10, CIFAR10(root=official_cifar10, download=False))


def test_download(official_cifar10, tmp_path, monkeypatch):
    monkeypatch.setattr(OFFICIAL, "url", (official_cifar10 / OFFICIAL.filename).as_uri())
    root = tmp_path / "new" / "data"
    assert_has_the_images_of(official_cifar10, CIFAR10(root=str(root)))
    assert sorted(path.name for path in root.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


@pytest.mark.parametrize(("download", "why"), [(True, "cannot be downloaded"), (False, "data.download is false")])
def test_nothing_there(official_cifar10, tmp_path, download, why):
    root = tmp_path / "empty"
    with pytest.raises(UserError) as caught:
        CIFAR10(root=root, download=download).prepare_data()
    message = str(caught.value)
    for part in (why, str(root / "cifar-10-python.tar.gz"), "University of Toronto", "data=digits"):
        assert part in message
    assert not root.exists() or not list(root.iterdir())


def test_damaged_archive_is_named(official_cifar10, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    content = (official_cifar10 / OFFICIAL.filename).read_bytes()
    (root / OFFICIAL.filename).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz is damaged or not the official file"):
        CIFAR10(root=root).prepare_data()


def test_damaged_batch_is_named_and_not_unpickled(official_cifar10, tmp_path):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return marker.write_text, ("",)

    (official_cifar10 / "cifar-10-batches-py" / "data_batch_4").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(UserError, match=r"data_batch_4 is damaged or not the official file"):
        CIFAR10(root=official_cifar10).load()
    assert not marker.exists()


def test_info_reads_no_file(tmp_path):
    info = CIFAR10(root=tmp_path / "nowhere").info
    assert info.image == (3, 32, 32)
    assert info.labels["class"].classes[9] == "truck"
    assert info.labels["macro"].classes == ("vehicle", "animal")
