import os

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from gat_lightning.config.files import find_conf
from gat_lightning.data import Images
from gat_lightning.data import images as images_module
from gat_lightning.data import pictures as pictures_module
from gat_lightning.data.folders import find_pictures
from gat_lightning.data.pictures import decode_picture, decode_pictures
from gat_lightning.errors import SettingError
from support.picture_folders import SIZE, all_of, files, keys, ready


def test_two_folders_are_the_splits_with_pils_pixels_and_the_folders_classes(two_folders):
    data = ready(two_folders)
    by_pixels = files(two_folders)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [16, 4, 6]
    for split in ("train", "val", "test"):
        for key, label in zip(keys(data, split), all_of(data, split).labels["class"].tolist(), strict=True):
            path = by_pixels.pop(key)
            assert path.parent.name == ("ant", "bee")[label]
            assert path.parent.parent.name == ("test" if split == "test" else "train")
    assert not by_pixels


def test_one_folder_is_split_by_class(one_folder):
    data = ready(one_folder, test_fraction=0.3)
    assert all_of(data, "test").labels["class"].bincount().tolist() == [9, 6, 3]
    assert all_of(data, "val").labels["class"].bincount().tolist() == [4, 3, 1]
    assert sorted(key for split in ("train", "val", "test") for key in keys(data, split)) == sorted(files(one_folder))


def test_the_test_pictures_do_not_depend_on_seed_order_of_classes_or_other_classes(one_folder, tmp_path):
    first, other = ready(one_folder), ready(one_folder, seed=1)
    assert keys(first, "test") == keys(other, "test")
    assert keys(first, "val") != keys(other, "val")
    some = ready(one_folder, classes=["cat", "ant"], fraction=0.5)
    by_pixels = files(one_folder)
    drawn = [key for key in keys(first, "test") if by_pixels[key].parent.name != "bee"]
    assert sorted(keys(some, "test")) == sorted(drawn)
    assert keys(ready(one_folder, classes=["cat", "bee", "ant"]), "test") == keys(first, "test")
    moved = tmp_path / "elsewhere"
    one_folder.rename(moved)
    assert keys(ready(moved), "test") == keys(first, "test")


def test_the_test_pictures_are_drawn_at_random(one_folder):
    found = find_pictures(one_folder, None, 0.5)
    numbers = {int(os.path.basename(path)[:2]) for path, test in zip(found.paths, found.test, strict=True) if test}
    assert 0 < len(numbers & set(range(10, 20))) < 10


def test_the_first_pictures_of_a_split_are_of_all_classes(one_folder):
    data = ready(one_folder, val_fraction=0.5)
    for split in ("train", "val", "test"):
        assert set(all_of(data, split).labels["class"][:10].tolist()) == {0, 1, 2}


def test_a_fraction_reads_only_its_own_pictures(two_folders, monkeypatch):
    read = []

    def recording(path, *rest):
        read.append(path)
        return decode_picture(path, *rest)

    monkeypatch.setattr(pictures_module, "decode_picture", recording)
    data = Images(root=two_folders, size=SIZE, val_fraction=0.2, fraction=0.5)
    assert data.info
    sampled = set(read)
    data.setup()
    by_pixels = files(two_folders)
    used = {str(by_pixels[key]) for split in ("train", "val") for key in keys(data, split)}
    assert len(used) == 10
    assert sampled == used
    assert set(read) == used | {str(path) for path in two_folders.glob("test/*/*")}
    read.clear()
    data.setup("test")
    assert not read


def test_the_splits_of_a_seed_are_those_of_the_base_class(two_folders):
    data = ready(two_folders, fraction=0.5, seed=4)
    whole = Images(root=two_folders, size=SIZE, val_fraction=0.2, fraction=0.5, seed=4)
    Images.__mro__[1].setup(whole)
    for split in ("train", "val", "test"):
        assert keys(data, split) == keys(whole, split)
        assert all_of(data, split).labels["class"].tolist() == all_of(whole, split).labels["class"].tolist()


def test_load_gives_everything(two_folders):
    splits = Images(root=two_folders, size=SIZE, fraction=0.1).load()
    assert splits.train.images.shape == (20, 3, SIZE, SIZE)
    assert sorted(splits.test.labels["class"].tolist()) == [0, 0, 0, 1, 1, 1]


def test_info_needs_no_setup_and_is_the_same_every_time(one_folder):
    info = Images(root=one_folder, size=[6, 10], channels=1, macro={"insect": ["ant", "bee"], "pet": [2]}).info
    assert info.name == "one"
    assert info.image == (1, 6, 10)
    assert info.labels["class"].classes == ("ant", "bee", "cat")
    assert info.labels["macro"].classes == ("insect", "pet")
    assert info == Images(root=one_folder, size=[6, 10], channels=1, macro={"insect": ["ant", "bee"], "pet": [2]}).info
    assert info.mean == Images(root=one_folder, size=[6, 10], channels=1, seed=9).info.mean


def test_statistics_are_those_of_the_training_pictures(two_folders):
    training = np.stack([np.asarray(Image.open(path)) for path in two_folders.glob("train/*/*")]).reshape(-1, 3) / 255
    info = Images(root=two_folders, size=SIZE).info
    assert info.mean == pytest.approx(training.mean(0))
    assert info.std == pytest.approx(training.std(0))


def test_the_sample_is_small_and_of_all_classes(one_folder, monkeypatch):
    read = []
    monkeypatch.setattr(images_module, "SAMPLE", 12)
    monkeypatch.setattr(
        images_module, "decode_pictures", lambda paths, *rest: read.append(paths) or decode_pictures(paths, *rest)
    )
    first = Images(root=one_folder, size=SIZE).info
    assert first == Images(root=one_folder, size=SIZE, seed=5).info
    assert read[0] == read[1]
    assert [sum(f"/{name}/" in path for path in read[0]) for name in ("ant", "bee", "cat")] == [6, 4, 2]


def test_classes_give_names_and_order_and_macro_follows(one_folder, caplog):
    data = ready(one_folder, classes=["cat", "ant"], macro={"a": ["ant"], "c": ["cat"]})
    assert data.info.labels["class"].classes == ("cat", "ant")
    batch = all_of(data, "test")
    by_pixels = files(one_folder)
    assert [by_pixels[key].parent.name for key in keys(data, "test")] == [
        ("cat", "ant")[label] for label in batch.labels["class"]
    ]
    assert torch.equal(batch.labels["macro"], 1 - batch.labels["class"])
    assert "data.classes does not name them: bee" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r"size=0: it must be a number of pixels, such as 64, or \[height, width\]"),
        ({"size": "big"}, r"size='big'"),
        ({"size": [8, 8, 3]}, r"size=\[8, 8, 3\]"),
        ({"size": [8, 2.5]}, r"size=\[8, 2\.5\]"),
        ({"size": True}, r"size=True"),
        ({"channels": 4}, r"channels=4: it must be 1"),
        ({"on_error": "ignore"}, r"on_error='ignore': it must be one of: stop, skip"),
        ({"test_fraction": 0}, r"test_fraction=0: it must be a number above 0 and below 1"),
        ({"test_fraction": "a"}, r"test_fraction='a'"),
        ({"fraction": 2}, r"fraction=2"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(SettingError, match=message):
        Images(root="anywhere", **settings)


def test_the_configuration_makes_it(one_folder):
    config = OmegaConf.load(find_conf() / "data" / "images.yaml")
    whole = OmegaConf.create({"seed": 3, "data": config})
    whole.data.merge_with({"root": str(one_folder), "size": [6, 8], "classes": ["cat", "bee"], "val_fraction": 0.3})
    settings = {k: v for k, v in whole.data.items() if k not in ("eps", "crop_padding", "flip", "views")}
    data = instantiate(settings)
    data.setup()
    assert isinstance(data, Images)
    assert data.seed == 3
    assert data.info.image == (3, 6, 8)
    batches = list(data.test_dataloader())
    assert [batch.images.shape for batch in batches] == [(6, 3, 6, 8)]
    assert batches[0].images.is_contiguous()
    assert batches[0].images.dtype == torch.float32


def test_batches_do_not_depend_on_workers_or_threads(one_folder, monkeypatch):
    alone = ready(one_folder, batch_size=16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    helped = ready(one_folder, batch_size=16, workers=1)
    for first, second in zip(alone.train_dataloader(), helped.train_dataloader(), strict=True):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels["class"], second.labels["class"])
