import shutil

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from gat_lightning.commands.file_checks import check_files
from gat_lightning.data import Arrays, CheXpert, Digits, Images
from support.picture_folders import SIZE, save
from support.xray_folders import chexpert_folder


def found(data):
    """``{check: (number, names)}`` of those that found something."""
    columns = [list(column.cells) for column in check_files(data).columns]
    return {check: (number, str(names)) for check, number, names in zip(*columns, strict=True) if number != "0"}


def test_equal_pictures_of_train_and_test_and_of_two_classes(tmp_path, capsys):
    for split, count in (("train", 10), ("test", 4)):
        for cls in ("ant", "bee"):
            for number in range(count):
                save(tmp_path / split / cls / f"{number}.png")
    shutil.copy(tmp_path / "train/ant/3.png", tmp_path / "test/ant/copy.png")
    Image.open(tmp_path / "train/bee/4.png").save(tmp_path / "test/bee/copy.bmp")
    shutil.copy(tmp_path / "test/ant/0.png", tmp_path / "test/bee/other.png")
    (tmp_path / "test/bee/[red]a.heic").touch()
    (tmp_path / "test/bee/b.heic").touch()
    data = Images(root=tmp_path, size=SIZE, val_fraction=0.2)
    checks = found(data)
    leaked = {"test/ant/copy.png = train/ant/3.png", "test/bee/copy.bmp = train/bee/4.png"}
    across = [checks.pop(f"equal in {split} and test", ("0", "")) for split in ("training", "validation")]
    assert sum(int(number) for number, _ in across) == 2
    assert {name for _, names in across for name in names.split(", ") if name} == leaked
    number, names = checks.pop("equal with different labels (class)")
    assert (number, set(names.split(" = "))) == ("1", {"test/ant/0.png", "test/bee/other.png"})
    assert checks.pop("equal in one split")[0] == "1"
    Console().print(check_files(data))
    assert "[red]a.heic" in capsys.readouterr().out
    assert checks == {"files that are not read": ("2", "test/bee/[red]a.heic, test/bee/b.heic")}


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_equal_images_of_arrays_have_the_numbers_of_the_file(tmp_path, fraction):
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (60, 4, 4, 3), np.uint8), rng.integers(0, 256, (20, 4, 4, 3), np.uint8)
    test[:20] = train[40:60]
    labels = np.arange(60) % 2
    np.savez(tmp_path / "a.npz", train_images=train, train_labels=labels, test_images=test, test_labels=1 - labels[:20])
    data = Arrays(path=tmp_path / "a.npz", fraction=fraction)
    data.setup()
    checks = found(data)
    used = {row for row in range(60) if any(np.array_equal(train[row], image) for image in stored(data))}
    number = sum(int(checks.get(f"equal in {split} and test", "0")[0]) for split in ("training", "validation"))
    assert number == len(used & set(range(40, 60)))
    for split in ("training", "validation"):
        for name in checks.get(f"equal in {split} and test", ("", ""))[1].removesuffix(", ...").split(", "):
            if name:
                one, other = (int(text.split()[-1]) for text in name.split(" = "))
                assert other == one + 40
    assert checks["equal with different labels (class)"][0] == str(number)


def stored(data):
    for split in ("train", "val"):
        dataset = data.split(split)
        yield from dataset.pixels(dataset.rows, {}).permute(0, 2, 3, 1).numpy()


def test_extra_images_that_are_test_images_are_found(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 4, 4, 3), np.uint8), np.arange(60) % 2
    paths = [tmp_path / "a.npz", tmp_path / "extra.npz"]
    np.savez(
        paths[0], train_images=images[:40], train_labels=labels[:40], test_images=images[40:], test_labels=labels[40:]
    )
    extra = rng.integers(0, 256, (2000, 4, 4, 3), np.uint8)
    extra[[5, 1500, 1999]] = images[[43, 7, 59]]
    np.savez(paths[1], image=extra, label=np.arange(2000) % 2)
    checks = found(Arrays(path=paths[0], extra=paths[1]))
    leaked = ("2", "extra image 5 = test image 3, extra image 1999 = test image 19")
    assert checks.pop("equal in test and extra") == leaked
    [(number, names)] = checks.values()
    assert (number, names) == ("1", "extra image 1500 = training image 7")


def test_digits_have_no_duplicates():
    assert found(Digits()) == {}


def test_pictures_of_tables_are_compared_by_their_bytes(tmp_path):
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    root = chexpert_folder(tmp_path)
    data = CheXpert(root=root, per_patient="all", view="all", target="edema")
    [test, *_], [train, *_] = ([data.records.paths[row] for row in data.parts[split]] for split in ("test", "train"))
    (root / test).write_bytes((root / train).read_bytes())
    (root / "train" / "patient00001" / "study1" / "extra.jpg").write_bytes(b"no picture, not opened")
    absent = next(path for path in data.records.paths if path not in (test, train))
    (root / absent).unlink()
    checks = found(CheXpert(root=root, per_patient="all", view="all", target="edema"))
    checks.pop("equal with different labels (edema)", None)
    assert checks == {
        "equal in training and test": ("1", f"{test} = {train}"),
        "pictures in no row of the table": ("1", "train/patient00001/study1/extra.jpg"),
        "rows without a picture": ("1", absent),
    }
