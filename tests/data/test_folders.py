import os

import pytest

from gat_lightning.data import Images
from gat_lightning.data.folders import find_pictures
from gat_lightning.errors import SettingError, UserError
from support.picture_folders import SIZE, ready, save


def test_sub_folders_links_odd_names_and_hidden_files(one_folder, tmp_path):
    outside = tmp_path / "outside"
    added = [
        save(one_folder / "ant" / "deep" / "er" / "x.PNG"),
        save(one_folder / "ant" / "with space" / "größe 猫.png"),
        save(outside / "linked.png"),
    ]
    (one_folder / "ant" / "link").symlink_to(outside, target_is_directory=True)
    (one_folder / "ant" / "deep" / "loop").symlink_to(one_folder / "ant", target_is_directory=True)
    (one_folder / "dog é").symlink_to(one_folder / "cat", target_is_directory=True)
    save(one_folder / ".hidden" / "x.png")
    save(one_folder / "ant" / ".thumbnails" / "x.png")
    save(one_folder / "ant" / "._x.png")
    (one_folder / "ant" / "notes.txt").write_text("x")
    save(one_folder / "stray.png")
    found = find_pictures(one_folder, None, 0.2)
    assert found.classes == ("ant", "bee", "cat", "dog é")
    assert found.labels.bincount().tolist() == [33, 20, 10, 10]
    names = {os.path.basename(path) for path in found.paths}
    assert {path.name for path in added} <= names
    assert not names & {"._x.png", "stray.png", "notes.txt"}


def test_class_names_match_in_any_unicode_form(one_folder):
    (one_folder / "cat").rename(one_folder / "ka\u0308tzchen")
    assert find_pictures(one_folder, ["k\u00e4tzchen", "ant"], 0.2).classes == ("k\u00e4tzchen", "ant")


def test_a_read_only_folder(one_folder):
    folders = [path for path in (one_folder, *one_folder.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert len(ready(one_folder).split("test")) == 12
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_train_may_be_a_class(one_folder):
    (one_folder / "cat").rename(one_folder / "train")
    assert find_pictures(one_folder, None, 0.2).classes == ("ant", "bee", "train")


def test_folders_beside_train_and_test_are_named(two_folders, caplog):
    save(two_folders / "val" / "ant" / "x.png")
    assert len(find_pictures(two_folders, None, 0.2).paths) == 26
    assert "Left out, beside train and test" in caplog.text
    assert "val" in caplog.text


def test_no_root_and_a_missing_one(tmp_path):
    with pytest.raises(SettingError, match=r"root=None: .* FOLDER/train/CLASS/\*\.jpg and .*FOLDER/CLASS"):
        Images(root=None)
    with pytest.raises(UserError, match=rf"no folder {tmp_path}/absent; expected are data\.root/train/CLASS"):
        assert Images(root=tmp_path / "absent").info


def test_no_class_folders(tmp_path):
    save(tmp_path / "a.png")
    with pytest.raises(UserError, match=rf"^{tmp_path} has no class folders; expected are {tmp_path}/train/CLASS"):
        assert Images(root=tmp_path).info


def test_no_class_folders_in_test(two_folders):
    (two_folders / "test").rename(two_folders.parent / "away")
    save(two_folders / "test" / "1.png")
    with pytest.raises(UserError, match=r"two/test has no class folders; expected are \S*two/train/CLASS"):
        assert Images(root=two_folders).info


@pytest.mark.parametrize(("absent", "there"), [("test", "train"), ("train", "test")])
def test_only_one_of_train_and_test(two_folders, absent, there):
    (two_folders / absent).rename(two_folders.parent / "away")
    with pytest.raises(
        UserError, match=rf"has {there}/ with class folders but no {absent}/; .* data\.root=\S*{there} "
    ):
        assert Images(root=two_folders).info


def test_an_empty_class(one_folder):
    (one_folder / "dog").mkdir()
    (one_folder / "dog" / "x.txt").touch()
    with pytest.raises(UserError, match=r"class folder \S*one/dog has no picture \(\.jpg, .*\); add some, delete"):
        assert Images(root=one_folder).info


@pytest.mark.parametrize(("here", "there"), [("train", "test"), ("test", "train")])
def test_a_class_in_one_split_only(two_folders, here, there):
    save(two_folders / here / "cat" / "x.png")
    with pytest.raises(UserError, match=rf"two: {here}/ has class folders that {there}/ has not: 'cat'; every class"):
        assert Images(root=two_folders).info
    assert Images(root=two_folders, size=SIZE, classes=["bee", "ant"]).info.labels["class"].classes == ("bee", "ant")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["ant", "bea"], r"one has no class folder 'bea', only ant, bee, cat; did you mean bee\?"),
        (["ant", False], r"no class folder 'False', only ant, bee, cat \(YAML reads a bare no, .* in quotes\)"),
        (["ant", "bee", "ant"], "data.classes names 'ant' more than once"),
        (["ant"], "data.classes names only 1 class: ant; at least two are needed"),
        ([], "data.classes names only 0 classes; at least two"),
        ("ant", "classes='ant': it must be None or a list"),
    ],
)
def test_classes_that_do_not_fit(one_folder, classes, message):
    with pytest.raises((SettingError, UserError), match=message):
        assert Images(root=one_folder, classes=classes).info


def test_a_single_class(one_folder):
    for name in ("bee", "cat"):
        (one_folder / name).rename(one_folder.parent / name)
    with pytest.raises(UserError, match="one has only 1 class: ant; at least two are needed"):
        assert Images(root=one_folder).info


@pytest.mark.parametrize(("count", "test_fraction", "drawn"), [(2, 0.2, 0), (1, 0.6, 1), (1, 0.2, 0)])
def test_too_few_pictures_to_split(one_folder, count, test_fraction, drawn):
    for number in range(count):
        save(one_folder / "rare" / f"{number}.png")
    message = rf"'rare' has too few .*test_fraction={test_fraction} puts {drawn} of its {count} into the test set"
    with pytest.raises(UserError, match=message):
        assert Images(root=one_folder, test_fraction=test_fraction).info


def test_a_folder_that_cannot_be_listed(one_folder, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(UserError, match=r"the folder \S*one cannot be listed: Permission denied"):
        assert Images(root=one_folder).info


def left_out(caplog):
    return [record.message for record in caplog.records if record.message.startswith("Left out in")]


def test_files_that_are_not_read_are_counted_and_named(two_folders, caplog):
    names = ["train/ant/a.heic", "train/bee/b.HEIC", "test/bee/deep/c.jp2", "test/ant/d.svg", "test/ant/notes"]
    for name in names:
        (two_folders / name).parent.mkdir(exist_ok=True)
        (two_folders / name).write_bytes(b"content")
    save(two_folders / "train" / "loose.png")
    save(two_folders / "other.png")
    data = ready(two_folders)
    assert sum(len(data.split(name)) for name in ("train", "val", "test")) == 26
    assert left_out(caplog) == [
        f"Left out in {two_folders}, as no pictures of a class: 2 .png ('other.png', ...), 2 .heic"
        " ('train/ant/a.heic', ...), 1 .svg ('test/ant/d.svg'), 1 without an ending ('test/ant/notes'), 1 .jp2"
        " ('test/bee/deep/c.jp2')"
    ]
    assert sorted(data.left_out()) == sorted([*names, "other.png", "train/loose.png"])


def test_nothing_is_said_where_nothing_is_left_out(one_folder, two_folders, caplog):
    for root in (one_folder, two_folders):
        (root / ".hidden").touch()
        (root / "README.txt").touch()
        assert not ready(root).left_out()
    assert not left_out(caplog)


def test_an_empty_class_names_what_is_there(one_folder):
    for path in (one_folder / "bee").iterdir():
        path.rename(path.with_suffix(".heic"))
    with pytest.raises(UserError, match=r"bee has no picture \(\.jpg.*\); it has 20 \.heic \('00\.heic', \.\.\.\)"):
        _ = Images(root=one_folder).info


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("train", "Test"),
        ("Train", "test"),
        ("Training", "Testing"),
        ("train", "val"),
        ("train", "Validation", "Test"),
    ],
)
def test_splits_of_other_names_are_no_classes(tmp_path, names):
    for name in names:
        for cls in ("ant", "bee"):
            for number in range(5):
                save(tmp_path / name / cls / f"{number}.png")
    with pytest.raises(
        UserError, match=rf"has the folders {', '.join(sorted(names))}, .* rename those .*train and test"
    ):
        ready(tmp_path)
    (tmp_path / "README").mkdir()
    with pytest.raises(UserError, match="rename those"):
        ready(tmp_path)


def test_flat_splits_of_other_names_are_no_classes(tmp_path):
    for name in ("Train", "Test"):
        for number in range(5):
            save(tmp_path / name / f"{number}.png")
    with pytest.raises(UserError, match="has the folders Test, Train, which would be taken for classes"):
        ready(tmp_path)


def test_train_and_test_may_be_classes_among_others(one_folder):
    for name in ("ant", "bee"):
        (one_folder / name).rename(one_folder / {"ant": "Train", "bee": "Val"}[name])
    assert ready(one_folder).info.labels["class"].classes == ("Train", "Val", "cat")


@pytest.mark.parametrize("name", ["Ant", "ant ", "ANT"])
def test_classes_that_differ_in_case_or_spaces_only(one_folder, name):
    for number in range(5):
        save(one_folder / name / f"{number}.png")
    with pytest.raises(UserError, match="whose names differ in case or spaces only"):
        ready(one_folder)
    assert ready(one_folder, classes=["ant", "bee"]).info.labels["class"].classes == ("ant", "bee")
