import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gat_lightning.data import Digits


@pytest.fixture
def digits():
    def make(**settings):
        data = Digits(**settings)
        data.setup()
        return data

    return make


def everything(data, split):
    return data.split(split).__getitems__(list(range(len(data.split(split)))))


def test_pixels_are_exactly_those_of_scikit_learn(digits):
    source = load_digits()
    expected = sorted(
        (np.array([[round(v * 255 / 16) for v in row] for row in image], np.uint8).tobytes(), int(label))
        for image, label in zip(source.images, source.target, strict=True)
    )
    data, found = digits(), []
    for split in ("train", "val", "test"):
        batch = everything(data, split)
        pixels = batch.images[:, 0].mul(255).round().byte().numpy()
        found += [(image.tobytes(), int(label)) for image, label in zip(pixels, batch.labels["class"], strict=True)]
    assert sorted(found) == expected


def test_sizes_and_macro_classes(digits):
    data = digits(val_fraction=0.1)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [1293, 144, 360]
    assert data.info.image == (1, 8, 8)
    assert data.info.labels["macro"].classes == ("loop", "no_loop")
    batch = everything(data, "train")
    loop = torch.isin(batch.labels["class"], torch.tensor([0, 6, 8, 9]))
    assert torch.equal(batch.labels["macro"] == 0, loop)
    counts = everything(data, "test").labels["class"].bincount()
    assert counts.min() >= 34
    assert counts.max() <= 37


def test_test_images_are_the_same_for_every_seed(digits):
    first, second = digits(seed=0), digits(seed=1)
    assert torch.equal(everything(first, "test").images, everything(second, "test").images)
    assert not torch.equal(everything(first, "val").images, everything(second, "val").images)


def test_statistics_are_of_training_images(digits):
    data = digits()
    images = torch.cat([everything(data, "train").images, everything(data, "val").images])
    assert data.info.mean[0] == pytest.approx(images.mean().item(), rel=1e-5)
    assert data.info.std[0] == pytest.approx(images.std(correction=0).item(), rel=1e-5)
