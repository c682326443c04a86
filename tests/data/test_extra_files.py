"""Files of extra images: what is read of them, and that a file can run nothing."""

import os
import pickle
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
import torch

from gat_lightning.data.extra import read_extra
from gat_lightning.data.pickled import pickled_arrays
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo
from support.extra_images import CLASSES, INFO, PICTURES


def written(path, content, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_generated_images_are_read(tmp_path, save):
    path = tmp_path / "some.npz"
    save(path, image=np.asfortranarray(PICTURES), label=CLASSES.astype(np.uint8), other=np.zeros(3))
    images, labels = read_extra(path, INFO)
    assert torch.equal(images, torch.from_numpy(PICTURES).permute(0, 3, 1, 2))
    assert labels.tolist() == CLASSES.tolist()
    assert labels.dtype == torch.long


def test_grey_images_without_a_channel_are_read(tmp_path):
    np.savez(tmp_path / "grey.npz", image=PICTURES[..., 0], label=CLASSES)
    info = DataInfo("grey", (1, 5, 4), (0.5,), (0.5,), INFO.labels)
    assert torch.equal(read_extra(tmp_path / "grey.npz", info)[0][:, 0], torch.from_numpy(PICTURES[..., 0]))


@pytest.mark.parametrize("kind", ["npz", "pickle"])
def test_images_are_not_copied(tmp_path, kind):
    """Mapped from an .npz; of a pickle there is what was read."""
    path, images = tmp_path / f"many.{kind}", np.full((100_000, 5, 4, 3), 9, np.uint8)
    if kind == "npz":
        np.savez(path, image=images, label=np.zeros(len(images), np.uint8))
    else:
        written(path, {"data": images, "extrapolated_targets": np.zeros(len(images), np.uint8)})
    tracemalloc.start()
    read_extra(path, INFO)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    labels = 9 * len(images)
    assert peak < labels + images.nbytes * (0.2 if kind == "npz" else 1.2)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pseudo_labelled_images_are_read(tmp_path, protocol):
    content = {"data": PICTURES, "extrapolated_targets": CLASSES, "source": "80 million tiny images", "epoch": 3}
    images, labels = read_extra(written(tmp_path / "some.pickle", content, protocol), INFO)
    assert torch.equal(images, torch.from_numpy(PICTURES).permute(0, 3, 1, 2))
    assert labels.tolist() == CLASSES.tolist()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(PICTURES), PICTURES[::2, 1:], np.arange(5, dtype=">i4"), np.zeros((0, 3), np.uint8),
        np.array([[True, False]]), np.array(2.5), np.arange(3),
    ],
    ids=lambda array: f"{array.dtype.str} {array.shape}",
)  # fmt: skip
def test_arrays_are_those_that_numpy_pickled(tmp_path, protocol, array):
    read = pickled_arrays(written(tmp_path / "a.pkl", {"a": array, "n": [3, 1]}, protocol))
    assert read["a"].shape == array.shape
    assert np.array_equal(read["a"], array)
    assert read["n"].tolist() == [3, 1]


def python_2(arrays):
    """The pickle that Python 2 and its NumPy made of ``{name: uint8 array}`` by protocol 2: texts are bytes."""

    def text(content):
        return b"T" + struct.pack("<i", len(content)) + content

    def one(array):
        shape = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in array.shape) + b"t"
        dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNNJ" + b"\xff" * 4 + b"J"
        dtype += b"\xff" * 4 + b"K\x00tb"
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        return made + b"(K\x01" + shape + dtype + b"\x89" + text(array.tobytes()) + b"tb"

    entries = b"".join(text(name.encode()) + one(array) for name, array in arrays.items())
    return b"\x80\x02}(" + entries + b"u."


def test_a_pickle_of_python_2_is_read(tmp_path):
    content = {"data": PICTURES, "extrapolated_targets": CLASSES.astype(np.uint8)}
    path = tmp_path / "old.pickle"
    path.write_bytes(python_2(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of NumPy warn of such old dtypes
        by_numpy = pickle.loads(path.read_bytes(), encoding="latin1")
    assert all(np.array_equal(by_numpy[name], array) for name, array in content.items())
    images, labels = read_extra(path, INFO)
    assert torch.equal(images, torch.from_numpy(PICTURES).permute(0, 3, 1, 2))
    assert labels.tolist() == CLASSES.tolist()


class Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("place", ["entry", "whole", "before"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, protocol, place):
    harm = tmp_path / "harm"
    payload = Payload(os.mkdir, str(harm))
    arrays = {"data": PICTURES, "extrapolated_targets": CLASSES}
    content = {"entry": {**arrays, "note": payload}, "whole": payload, "before": [payload, arrays]}[place]
    path = written(tmp_path / "bad.pickle", content, protocol)
    with pytest.raises(UserError, match=r"asks for \w+\.mkdir to be called .* nothing of it was run"):
        read_extra(path, INFO)
    assert not harm.exists()
    pickle.loads(path.read_bytes())
    assert harm.exists()


@pytest.mark.parametrize(
    "content",
    [
        Payload(eval, "1"), Payload(np.load, "file"), Payload(np.frombuffer, b"12"), Payload(getattr, "a", "b"),
        Payload(bytearray, 3), np.float64(3), np.ma.masked_array([1, 2]),
    ],
)  # fmt: skip
def test_whatever_is_no_plain_array_is_refused(tmp_path, content):
    with pytest.raises(UserError, match=r"asks for .* refused"):
        pickled_arrays(written(tmp_path / "bad.pkl", {"data": content}, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": np.array([{}])}), "an array of dtype object"),
        (pickle.dumps({"data": np.array(["a"])}), "an array of dtype <U1"),
        (pickle.dumps({"data": np.zeros(2, [("a", "u1")])}), "an array of dtype"),
        (pickle.dumps([PICTURES]), "it holds no dictionary"),
        (pickle.dumps(PICTURES), "it holds no dictionary"),
        (pickle.dumps({"data": PICTURES})[:200], "damaged"),
        (b"", "damaged"),
        (b"some text", "damaged"),
        (b"\x80\x02Pname\n.", "persistent"),
        (pickle.dumps({"data": [[1], [2, 3]]}), "damaged"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "the encoding 'zip'"),
        (python_2({"data": PICTURES}).replace(b"u1", b"O8"), "an array of dtype object"),
        (python_2({"data": PICTURES})[:-80] + b"tbu.", "damaged"),
    ],
)
def test_damaged_and_crafted_pickles_are_refused(tmp_path, content, message):
    path = tmp_path / "bad.pickle"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"bad\.pickle cannot be read .*{message}"):
        pickled_arrays(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": PICTURES[:, :4]}, r"image has shape \[50, 4, 4, 3\]; the images of toy need \[N, 5, 4, 3\]"),
        ({"image": PICTURES[..., 0]}, r"image has shape \[50, 5, 4, 1\]; .* need \[N, 5, 4, 3\]"),
        ({"image": PICTURES.transpose(0, 3, 1, 2)}, r"image has shape \[50, 3, 5, 4\]; .* need \[N, 5, 4, 3\]"),
        ({"image": PICTURES / 255}, "image has dtype float64, it must be uint8"),
        ({"image": PICTURES[:0], "label": CLASSES[:0]}, "holds no images; set data.extra=null"),
        ({"label": CLASSES + 1}, "label goes from 1 to 3; toy has the classes 0 to 2"),
        ({"label": CLASSES - 1}, "label goes from -1 to 1; toy has the classes 0 to 2"),
        ({"label": CLASSES / 1}, "label has dtype float64 .*must be integers"),
        ({"label": CLASSES[:40]}, r"50 images \(image\) but 40 labels \(label\)"),
        ({"image": None, "images": PICTURES}, "has no array image; it has label, images. It must have image and label"),
        ({"image": np.array([{}])}, "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, changed, message):
    arrays = {"image": PICTURES, "label": CLASSES, **changed}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=rf"bad\.npz.*{message}"):
        read_extra(tmp_path / "bad.npz", INFO)


def test_a_pickle_without_the_arrays_or_without_images_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no array extrapolated_targets; it has data\. It must have data and extra"):
        read_extra(written(tmp_path / "a.pickle", {"data": PICTURES}), INFO)
    for protocol in (2, 5):
        content = {"data": PICTURES[:0], "extrapolated_targets": CLASSES[:0]}
        with pytest.raises(UserError, match="holds no images"):
            read_extra(written(tmp_path / "a.pkl", content, protocol), INFO)


@pytest.mark.parametrize("size", [0, 10, 300, 2000])
def test_a_truncated_npz_is_refused(tmp_path, size):
    path = tmp_path / "some.npz"
    np.savez(path, image=PICTURES, label=CLASSES)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"some\.npz cannot be read \(damaged"):
        read_extra(path, INFO)
