"""Validation and test images are never among the images of ``data.unlabeled``."""

import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from gat_lightning.data import CheXpert, Digits, Images
from gat_lightning.errors import UserError
from support.xray_folders import chexpert_folder

OTHERS = np.random.default_rng(3).integers(0, 256, (30, 8, 8), dtype=np.uint8)
NO_MEMORY = "gat_lightning.data.unlabeled.available_memory"


def pictures_of(data, split, positions):
    data.setup()
    return data.split(split).images[data.split(split).rows[positions]][:, 0].numpy()


def refused(data):
    with pytest.raises(UserError) as error:
        data.training_split()
    return str(error.value)


def test_images_of_a_file_are_named_with_those_that_they_equal(tmp_path):
    plain = Digits(fraction=0.1, batch_size=32)
    known = [pictures_of(plain, "test", [5, 300, 5]), pictures_of(plain, "val", [3])]
    np.savez(tmp_path / "more.npz", image=np.concatenate([OTHERS, *known]))
    data = Digits(fraction=0.1, batch_size=32, unlabeled=tmp_path / "more.npz")
    data.setup()
    message = refused(data)
    assert "4 of its images are validation or test images" in message
    for named in ("30 (test image 5)", "31 (test image 300)", "32 (test image 5)", "33 (validation image 3)"):
        assert f"image {named}" in message


@pytest.mark.parametrize("split", ["train", "rest"])
def test_training_images_may_be_among_them(tmp_path, split):
    known = pictures_of(Digits(fraction=0.1, unlabeled="rest"), split, [0, 7])
    np.savez(tmp_path / "more.npz", image=np.concatenate([OTHERS, known]))
    data = Digits(fraction=0.1, unlabeled=tmp_path / "more.npz")
    data.setup()
    assert len(data.training_split()) == len(data.split("train")) + 32


def test_pictures_of_a_folder_are_named_by_their_files(tmp_path):
    (tmp_path / "more").mkdir()
    for name, picture in (("a", OTHERS[0]), ("b", pictures_of(Digits(), "test", [7])[0])):
        Image.fromarray(picture).save(tmp_path / "more" / f"{name}.png")
    data = Digits(unlabeled=tmp_path / "more")
    data.setup()
    assert f"{str(tmp_path / 'more' / 'b.png')!r} (test image 7)" in refused(data)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_files_of_x_rays_are_compared_by_their_bytes(tmp_path, monkeypatch, streamed, cached):
    """None of them is in memory, or one of the two is."""
    root = chexpert_folder(tmp_path / "data", patients=30)
    cache = {"cache": tmp_path / "cache"} if cached else {}
    settings = {"root": root, "target": "edema", "size": 8, "batch_size": 4, "per_patient": "all", **cache}
    plain = CheXpert(**settings)
    plain.setup()
    (tmp_path / "more").mkdir()
    Image.fromarray(OTHERS[0]).save(tmp_path / "more" / "0.jpg")
    known = {split: plain.split(split).path_of(1) for split in ("val", "test", "train")}
    for split, path in known.items():
        shutil.copy(path, tmp_path / "more" / f"{split}.jpg")
    if streamed:
        monkeypatch.setattr(NO_MEMORY, lambda: 1)
    data = CheXpert(unlabeled=tmp_path / "more", **settings)
    data.setup()
    message = refused(data)
    assert "2 of its images are validation or test images" in message
    for split, name in (("val", "validation"), ("test", "test")):
        assert f"{str(tmp_path / 'more' / f'{split}.jpg')!r} ({name} {known[split]!r})" in message
    (tmp_path / "more" / "val.jpg").unlink()
    (tmp_path / "more" / "test.jpg").unlink()
    again = CheXpert(unlabeled=tmp_path / "more", **settings)
    again.setup()
    assert len(again.training_split()) == len(again.split("train")) + 2


def test_pictures_of_class_folders_are_compared_with_streamed_ones(one_folder, tmp_path, monkeypatch):
    settings = {"root": one_folder, "size": 8, "batch_size": 8}
    plain = Images(**settings)
    plain.setup()
    (tmp_path / "more").mkdir()
    shutil.copy(plain.split("test").path_of(0), tmp_path / "more" / "copy.png")
    monkeypatch.setattr(NO_MEMORY, lambda: 1)
    data = Images(unlabeled=tmp_path / "more", **settings)
    data.setup()
    assert "copy.png' (test '" in refused(data)


def test_what_cannot_be_compared_is_said(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "more").mkdir()
    Image.fromarray(OTHERS[0]).save(tmp_path / "more" / "0.png")
    monkeypatch.setattr(NO_MEMORY, lambda: 1)
    data = Digits(unlabeled=tmp_path / "more")
    data.setup()
    data.training_split()
    assert "not compared with the validation and test images, as pictures are decoded for each batch" in caplog.text
