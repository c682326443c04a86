import numpy as np
import pytest
import torch

from gat_lightning.data import Arrays
from gat_lightning.errors import SettingError, UserError

RNG = np.random.default_rng(0)


def arrays(**changed):
    return {
        "train_images": RNG.integers(0, 256, (60, 6, 5, 3), dtype=np.uint8),
        "train_labels": np.arange(60, dtype=np.uint8) % 3,
        "test_images": RNG.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8),
        "test_labels": np.arange(12) % 3,
        **changed,
    }


@pytest.fixture
def save(tmp_path):
    def write(content, compressed=False):
        path = tmp_path / "mine.npz"
        (np.savez_compressed if compressed else np.savez)(path, **content)
        return path

    return write


@pytest.mark.parametrize("compressed", [False, True])
def test_colour_images(save, compressed):
    content = arrays()
    data = Arrays(path=save(content, compressed), val_fraction=0.2)
    assert data.info.image == (3, 6, 5)
    assert data.info.labels["class"].classes == ("0", "1", "2")
    expected = content["train_images"].reshape(-1, 3) / 255
    assert data.info.mean == pytest.approx(expected.mean(0))
    assert data.info.std == pytest.approx(expected.std(0))
    data.setup()
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [48, 12, 12]
    batch = data.split("test").__getitems__(list(range(12)))
    assert torch.equal(batch.images, torch.from_numpy(content["test_images"]).permute(0, 3, 1, 2).float() / 255)
    assert batch.labels["class"].tolist() == content["test_labels"].tolist()


def test_grey_images_names_and_macro_classes(save):
    gray = {f"{split}_images": arrays()[f"{split}_images"][..., 0] for split in ("train", "test")}
    path = save(arrays(**gray))
    data = Arrays(path=path, classes=["ant", "bee", "cat"], macro={"insect": ["ant", "bee"], "other": [2]})
    data.setup()
    assert data.info.image == (1, 6, 5)
    assert data.info.labels["class"].classes == ("ant", "bee", "cat")
    batch = data.split("test").__getitems__([0, 1, 2])
    assert torch.equal(batch.images[:, 0], torch.from_numpy(gray["test_images"][:3]).float() / 255)
    assert batch.labels["macro"].tolist() == [0, 0, 1]


def test_the_file_is_read_once(save):
    path = save(arrays())
    data = Arrays(path=path)
    assert data.info
    path.unlink()
    data.setup()


def image_dtype(dtype, scale):
    return {"train_images": (arrays()["train_images"] * scale).astype(dtype)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            image_dtype(np.float32, 1 / 255),
            r"dtype float32, it must be uint8\. The values lie in \[0, 1\]: save np\.rint",
        ),
        (image_dtype(np.float64, 1.0), r"The values lie in \[0, 255\]: save np\.rint\(array\)"),
        (image_dtype(np.float32, -1.0), "scale them to 0 to 255 first"),
        (image_dtype(np.int64, 1), r"dtype int64, .*array\.astype\(np\.uint8\)"),
        ({"train_images": arrays()["train_images"].transpose(0, 3, 1, 2)}, r"looks like \[N, C, H, W\].*transpose"),
        ({"train_images": np.zeros((60, 30), np.uint8)}, r"shape \[60, 30\]; it must be \[N, H, W, C\]"),
        ({"train_images": np.zeros((60, 9, 9, 9), np.uint8)}, r"with 1 to 4 channels"),
        ({"test_images": np.zeros((0, 6, 5, 3), np.uint8)}, "not empty"),
        (
            {"test_images": np.full((12, 7, 5, 3), 9, np.uint8)},
            r"differ in shape \[C, H, W\]: \[3, 6, 5\] and \[3, 7, 5\]",
        ),
        ({"train_labels": np.arange(59) % 3}, "60 train_images but 59 train_labels"),
        ({"test_labels": np.arange(13) % 3}, "12 test_images but 13 test_labels"),
        ({"train_labels": np.arange(60) % 3 - 1}, "train_labels has the negative label -1"),
        ({"train_labels": np.arange(60) % 3 / 2}, "train_labels has dtype float64 .* must be integers"),
        ({"train_labels": np.eye(3, dtype=int)[np.arange(60) % 3]}, r"shape \[60, 3\]; it must be integers \[N\]"),
        ({"train_labels": np.arange(60) % 3 * 2}, "no training image has label 1; train_labels must be 0 to K-1"),
        ({"train_labels": np.arange(60) % 3 + 1}, "no training image has label 0"),
        ({"train_labels": np.array([0, 1, 10**12] * 20)}, "no training image has label 2"),
        ({"train_labels": np.zeros(60, int)}, "all training images are of one class"),
        ({"test_labels": np.arange(12) % 4}, "test_labels go up to 3, but train_labels only to 2"),
        ({"train_labels": np.array([str(i % 3) for i in range(60)])}, "train_labels has dtype <U1"),
        ({"train_labels": np.array([None] * 60)}, r"not an \.npz of plain arrays\): Object arrays"),
    ],
)
def test_content_that_does_not_fit(save, changed, message):
    with pytest.raises(UserError, match=message) as caught:
        Arrays(path=save(arrays(**changed))).setup()
    assert "mine.npz" in str(caught.value)


def test_missing_array_and_those_found(save):
    content = arrays()
    content["labels"] = content.pop("train_labels")
    with pytest.raises(UserError, match=r"has no array train_labels; it has train_images, test_images, .*labels"):
        Arrays(path=save(content)).setup()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a", "b"], "train_labels go up to 2, but data.classes names 2"),
        (list("abcd"), "no training image has label 3"),
    ],
)
def test_class_names_that_do_not_fit(save, classes, message):
    with pytest.raises(UserError, match=message):
        Arrays(path=save(arrays()), classes=classes).setup()


def test_no_path_and_no_file(tmp_path):
    with pytest.raises(SettingError, match=r"path=None: it must be an \.npz file"):
        Arrays(path=None)
    with pytest.raises(UserError, match=rf"there is no file {tmp_path / 'absent.npz'}"):
        Arrays(path=tmp_path / "absent.npz").setup()


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_file(save, compressed):
    path = save(arrays(), compressed)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"cannot be read \(damaged, or not an \.npz"):
        Arrays(path=path).setup()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("at", [0.01, 0.3, 0.6, 0.95])
def test_damaged_bytes(save, compressed, at):
    path = save(arrays(), compressed)
    content = bytearray(path.read_bytes())
    start = int(at * len(content))
    content[start : start + 40] = bytes(b ^ 0xFF for b in content[start : start + 40])
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read \(damaged, or not an \.npz"):
        Arrays(path=path).setup()


def test_other_kinds_of_file(tmp_path):
    single = tmp_path / "single.npy"
    np.save(single, np.zeros(3))
    text = tmp_path / "text.npz"
    text.write_text("hello")
    for path, message in ((single, "holds a single array; it must be"), (text, r"not an \.npz of plain arrays")):
        with pytest.raises(UserError, match=message):
            Arrays(path=path).setup()
