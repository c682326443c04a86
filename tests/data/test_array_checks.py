"""The advice of the messages is carried out: it must give back the grey levels, or the classes, that were meant."""

import re

import numpy as np
import pytest
import torch

from gat_lightning.data import Arrays
from gat_lightning.data.extra import read_extra
from gat_lightning.errors import UserError
from support.extra_images import INFO

LEVELS = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3)).astype(np.uint8)
LEVELS[:, 0, 0, 0], LEVELS[:, 0, 0, 1] = 0, 255
CLASSES = np.arange(60) % 3


@pytest.fixture
def refusal(tmp_path):
    def of(**changed) -> str:
        content = {"train_images": LEVELS, "train_labels": CLASSES, "test_images": LEVELS, "test_labels": CLASSES}
        np.savez(tmp_path / "mine.npz", **(content | changed))
        with pytest.raises(UserError, match=next(iter(changed))) as caught:
            Arrays(path=tmp_path / "mine.npz").setup()
        return str(caught.value)

    return of


def followed(message, array):
    """What each ``save EXPRESSION`` of a message makes of the array."""
    found = re.findall(r"[Ss]ave (.+?)(?: if |, with |, or|$)", message) + re.findall(
        r"or (array\.view\(.+?\))", message
    )
    assert found, message
    return [eval(expression, {"np": np, "array": array}) for expression in found]


BINARY = LEVELS > 127


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        (BINARY, BINARY * 255),
        (BINARY.astype(np.uint8), BINARY * 255),
        (BINARY.astype(np.int64), BINARY * 255),
        (BINARY.astype(np.float32), BINARY * 255),
        ((LEVELS.astype(int) - 128).astype(np.int8), LEVELS),
        (LEVELS.astype(np.int8), LEVELS),
        (LEVELS.astype(np.int16), LEVELS),
        (LEVELS.astype(np.uint16) * 257, LEVELS),
        (np.rint(LEVELS * (4095 / 255)).astype(np.uint16), LEVELS),
        (np.rint(LEVELS * (1023 / 255)).astype(np.int32), LEVELS),
        (LEVELS.astype(np.uint64), LEVELS),
        (LEVELS.astype(np.float64), LEVELS),
        (LEVELS / 255, LEVELS),
        (LEVELS.astype(np.float16) / 255, LEVELS),
        (LEVELS / 127.5 - 1, LEVELS),
        (LEVELS * 257.0, LEVELS),
    ],
    ids=lambda array: f"{array.dtype}",
)
def test_advice_for_images_gives_back_the_grey_levels(refusal, stored, meant):
    for split in ("train", "test"):
        made = followed(refusal(**{f"{split}_images": stored}), stored)
        assert any(saved.dtype == np.uint8 and (saved == meant).all() for saved in made)


def test_the_range_that_was_found_is_named(refusal):
    assert "The values lie in [0, 65535]" in refusal(train_images=LEVELS.astype(np.uint16) * 257)
    assert "no values but 0 and 1" in refusal(test_images=BINARY.astype(np.uint8))
    assert "only the value 0: all its images are black" in refusal(test_images=np.zeros_like(LEVELS))
    assert "scale them to 0 to 255" in refusal(train_images=LEVELS.astype(np.float32) / 50 - 2)
    assert "not finite" in refusal(train_images=np.where(LEVELS == 7, np.nan, LEVELS))


def test_one_value_above_1_is_enough(tmp_path):
    images = BINARY.astype(np.uint8)
    images[:, 0, 0, 0] = 2
    np.savez(tmp_path / "mine.npz", train_images=images, train_labels=CLASSES, test_images=images, test_labels=CLASSES)
    data = Arrays(path=tmp_path / "mine.npz")
    data.setup()
    assert (data.load().train.images.permute(0, 2, 3, 1).numpy() == images).all()


@pytest.mark.parametrize(
    "stored",
    [CLASSES / 1, CLASSES[:, None], np.eye(3)[CLASSES], np.eye(3, dtype=bool)[CLASSES], np.eye(3, dtype=int)[CLASSES]],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_advice_for_labels_gives_back_the_classes(refusal, stored):
    [labels] = followed(refusal(train_labels=stored), stored)
    assert labels.dtype.kind == "i" or labels.dtype == stored.dtype
    assert (labels == CLASSES).all()


@pytest.mark.parametrize("label", [2**64 - 1, 2**63 + 1, 2**63])
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_that_int64_cannot_hold(refusal, label, split):
    labels = CLASSES.astype(np.uint64)
    labels[7] = label
    assert f"{split}_labels goes up to {label}" in refusal(**{f"{split}_labels": labels})


def test_labels_that_are_not_whole_are_no_classes(refusal):
    assert "save" not in refusal(train_labels=CLASSES + 0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint64])
def test_labels_of_every_integer_type_are_read(tmp_path, dtype):
    labels = CLASSES.astype(dtype)
    np.savez(tmp_path / "mine.npz", train_images=LEVELS, train_labels=labels, test_images=LEVELS, test_labels=labels)
    assert torch.equal(Arrays(path=tmp_path / "mine.npz").load().test.labels["class"], torch.from_numpy(CLASSES))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": np.ones((6, 5, 4, 3), np.uint8)}, "image has no values but 0 and 1; .*save array"),
        ({"image": np.zeros((6, 5, 4, 3), bool)}, r"image has dtype bool, .*array\.astype\(np\.uint8\) \* 255"),
        ({"label": np.array([0, 1, 2, 0, 1, 2**64 - 1], np.uint64)}, "label goes up to 18446744073709551615"),
    ],
)
def test_extra_images_are_checked_alike(tmp_path, changed, message):
    content = {"image": LEVELS[:6, :5, :4], "label": CLASSES[:6]} | changed
    np.savez(tmp_path / "extra.npz", **content)
    with pytest.raises(UserError, match=message):
        read_extra(tmp_path / "extra.npz", INFO)
