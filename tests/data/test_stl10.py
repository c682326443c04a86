import pytest
import torch
from torchvision import datasets

from gat_lightning.data import STL10
from gat_lightning.data.stl10 import CLASSES, OFFICIAL
from gat_lightning.errors import UserError


def test_a_download_gives_torchvisions_images_and_classes(official_stl10, tmp_path):
    data = STL10(root=tmp_path / "new")
    splits = data.load()
    for name, part in (("train", splits.train), ("test", splits.test)):
        theirs = datasets.STL10(official_stl10, split=name)
        assert torch.equal(part.images, torch.from_numpy(theirs.data))
        assert part.labels["class"].tolist() == theirs.labels.tolist()
        assert tuple(theirs.classes) == CLASSES
    assert data.info.image == splits.train.images.shape[1:]


def test_macro_classes_follow_stl10s_own_order(official_stl10):
    data = STL10(root=official_stl10, download=False)
    data.setup()
    labels = data.split("train").labels
    vehicles = {CLASSES[cls] for cls in labels["class"][labels["macro"] == 0]}
    assert vehicles == {"airplane", "car", "ship", "truck"}


def test_unlabelled_images_are_for_training_alone(official_stl10):
    plain, more = (STL10(root=official_stl10, unlabeled=unlabeled, batch_size=16) for unlabeled in (False, True))
    for data in (plain, more):
        data.setup()
    assert [len(more.split(name)) for name in ("train", "val", "test")] == [36 + 30, 4, 20]
    labels = more.split("train").labels
    assert ((labels["class"] == -1) == (labels["macro"] == -1)).all()
    assert int((labels["class"] == -1).sum()) == 30
    for name in ("val", "test"):
        assert (more.split(name).labels["class"] >= 0).all()
    kept = STL10(root=official_stl10, unlabeled=True, fraction=0.5)
    kept.setup()
    assert int((kept.split("train").labels["class"] == -1).sum()) == 15


def test_unlabelled_images_of_the_data_set_are_a_part_of_every_batch(official_stl10):
    data = STL10(root=official_stl10, unlabeled="own", unlabeled_fraction=0.75, batch_size=16)
    data.setup()
    assert len(data.split("train")) == 36
    batches = list(data.train_dataloader())
    assert len(batches) == 9
    for batch in batches:
        assert int((batch.labels["class"] == -1).sum()) == int((batch.labels["macro"] == -1).sum()) == 12
    seen = {image.numpy().tobytes() for batch in batches for image in batch.images[batch.labels["class"] == -1]}
    natural = STL10(root=official_stl10, unlabeled=True, batch_size=16)
    natural.setup()
    train = natural.split("train")
    without = (train.labels["class"] == -1).nonzero().flatten().tolist()
    assert seen == {image.numpy().tobytes() for image in train.__getitems__(without).images}


def test_a_damaged_file_is_named(official_stl10):
    (official_stl10 / "stl10_binary" / "test_X.bin").write_bytes(b"short")
    with pytest.raises(UserError, match=r"test_X\.bin is damaged or not the official file"):
        STL10(root=official_stl10).load()


def test_unlabelled_images_that_are_not_wanted_need_not_be_there(official_stl10):
    (official_stl10 / "stl10_binary" / "unlabeled_X.bin").unlink()
    (official_stl10 / OFFICIAL.filename).unlink()
    assert len(STL10(root=official_stl10, download=False).load().train.images) == 40
    with pytest.raises(UserError, match=r"STL-10 is not there and data\.download is false\. Put stl10_binary\.tar\.gz"):
        STL10(root=official_stl10, download=False, unlabeled=True).load()
