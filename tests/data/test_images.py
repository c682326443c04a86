import io
import logging
import os
import struct
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image, ImageOps

from gat_lightning.assembly import find_conf
from gat_lightning.data import Images
from gat_lightning.data import images as images_module
from gat_lightning.data import pictures as pictures_module
from gat_lightning.data.folders import find_pictures
from gat_lightning.data.memory import available_memory
from gat_lightning.data.pictures import decode_picture, decode_pictures
from gat_lightning.errors import UserError

RNG = np.random.default_rng(0)
SIZE = 8


def pixels(height=SIZE, width=SIZE, channels=3):
    return RNG.integers(0, 256, (height, width, channels)[: 3 if channels > 1 else 2], dtype=np.uint8)


def save(path, picture=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels() if picture is None else picture
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return path


@pytest.fixture
def one_folder(tmp_path):
    """Uneven classes ant (30), bee (20) and cat (10) in one folder."""
    root = tmp_path / "one"
    for name, count in (("ant", 30), ("bee", 20), ("cat", 10)):
        for number in range(count):
            save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def two_folders(tmp_path):
    root = tmp_path / "two"
    for split, count in (("train", 10), ("test", 3)):
        for name in ("ant", "bee"):
            for number in range(count):
                save(root / split / name / f"{split} {number:02}.png")
    return root


def ready(root, **settings):
    data = Images(root=root, **{"size": SIZE, "val_fraction": 0.2, **settings})
    data.setup()
    return data


def all_of(data, split):
    dataset = data.split(split)
    return dataset.__getitems__(list(range(len(dataset))))


def keys(data, split):
    return [image.mul(255).round().byte().permute(1, 2, 0).numpy().tobytes() for image in all_of(data, split).images]


def files(root, pattern="**/*.png"):
    """``{pixels: path}`` of pictures of the exact size, which must all differ."""
    found = {np.asarray(Image.open(path)).tobytes(): path for path in root.glob(pattern)}
    assert len(found) == len(list(root.glob(pattern)))
    return found


# --- splits ----------------------------------------------------------------------------------------------------------


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


# --- info ------------------------------------------------------------------------------------------------------------


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


# --- one picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".png", ".JPG", ".JPEG", ".BmP", ".tif", ".webp", ".gif", ".ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_the_exact_size_are_pils_own(tmp_path, ending, channels):
    path = save(tmp_path / f"ä b{ending}", pixels(12, 20))
    with Image.open(path) as picture:
        expected = np.asarray(picture.convert("L" if channels == 1 else "RGB")).reshape(12, 20, channels)
    assert np.array_equal(decode_picture(path, (12, 20), channels), expected)


@pytest.mark.parametrize(("height", "width"), [(40, 24), (24, 40), (6, 9), (500, 3), (1, 1)])
def test_other_sizes_are_resized_on_the_shorter_side_and_cropped_around_the_centre(tmp_path, height, width):
    picture = Image.fromarray(pixels(height, width))
    short = min(height, width)
    left, top = (width - short) / 2, (height - short) / 2
    square = picture.resize((8, 8), Image.Resampling.BILINEAR, box=(left, top, left + short, top + short))
    assert np.array_equal(decode_picture(save(tmp_path / "a.png", picture), (8, 8), 3), np.asarray(square))


def test_height_comes_before_width(tmp_path):
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, 15:] = 255
    decoded = decode_picture(save(tmp_path / "a.png", picture), (10, 15), 3)
    assert decoded.shape == (10, 15, 3)
    assert (decoded[:, :7] == 0).all()
    assert (decoded[:, 8:] == 255).all()


def test_large_jpegs_look_the_same_at_reduced_scale(tmp_path):
    smooth = Image.fromarray(pixels(6, 8)).resize((800, 600), Image.Resampling.BICUBIC)
    path = save(tmp_path / "a.jpg", smooth, quality=95)
    expected = np.asarray(ImageOps.fit(smooth, (32, 32), Image.Resampling.BILINEAR), int)
    assert np.abs(decode_picture(path, (32, 32), 3) - expected).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    undone = [None, None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_90", "TRANSVERSE"]
    undo = [*undone, "ROTATE_270"][orientation]
    upright = Image.fromarray(pixels(8, 12))
    stored = upright if undo is None else upright.transpose(Image.Transpose[undo])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", stored, exif=exif)
    assert np.array_equal(decode_picture(path, (8, 12), 3), np.asarray(upright))


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_damaged_exif_data_leave_the_picture_as_it_is(tmp_path, exif, ending):
    picture = pixels()
    paths = [save(tmp_path / f"a.{ending}", picture, exif=exif), save(tmp_path / f"b.{ending}", picture)]
    decoded, unreadable = decode_pictures(list(map(str, paths)), (8, 8), 3)
    assert not unreadable
    assert torch.equal(decoded[0], decoded[1])
    assert np.array_equal(decoded[1].permute(1, 2, 0), np.asarray(Image.open(paths[1])))


def test_palettes(tmp_path):
    picture = Image.fromarray(pixels()).quantize(16)
    path = save(tmp_path / "a.png", picture)
    assert np.array_equal(decode_picture(path, (8, 8), 3), np.asarray(picture.convert("RGB")))


def test_transparent_parts_become_white(tmp_path):
    colour, opacity = pixels(), np.full((8, 8), 255, np.uint8)
    opacity[:, :4] = 0
    expected = colour.copy()
    expected[:, :4] = 255
    path = save(tmp_path / "a.png", np.dstack([colour, opacity]))
    assert np.array_equal(decode_picture(path, (8, 8), 3), expected)
    grey = Image.merge("LA", [Image.fromarray(colour[..., 0]), Image.fromarray(opacity)])
    assert np.array_equal(decode_picture(save(tmp_path / "b.png", grey), (8, 8), 1), expected[..., :1])


@pytest.mark.parametrize("transparency", [3, bytes([255, 255, 255, 0])])
def test_palettes_with_a_transparent_colour(tmp_path, transparency):
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) % 5, "L").convert("P")
    picture.putpalette([10, 0, 0, 20, 0, 0, 30, 0, 0, 40, 0, 0, 50, 0, 0])
    path = save(tmp_path / "a.png", picture, transparency=transparency)
    decoded, unreadable = decode_pictures([str(path)], (8, 8), 3)
    assert not unreadable
    indices = np.asarray(picture)
    assert (decoded[0].permute(1, 2, 0).numpy()[indices == 3] == 255).all()
    assert (decoded[0, 0].numpy()[indices == 1] == 20).all()


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_grey_levels_keep_their_range(tmp_path, ending, channels):
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    decoded = decode_picture(save(tmp_path / f"a.{ending}", levels), (8, 8), channels)
    assert np.abs(decoded - levels[..., None] / 257).max() <= 0.51
    assert (decoded == decoded[..., :1]).all()


def test_cmyk_and_one_bit(tmp_path):
    cmyk = Image.fromarray(pixels()).convert("CMYK")
    path = save(tmp_path / "a.jpg", cmyk, quality=95)
    assert np.array_equal(decode_picture(path, (8, 8), 3), np.asarray(Image.open(path).convert("RGB")))
    bits = Image.fromarray(pixels(channels=1)).convert("1")
    expected = np.asarray(bits).astype(np.uint8)[..., None] * 255
    assert np.array_equal(decode_picture(save(tmp_path / "b.png", bits), (8, 8), 1), expected)


# --- which files -----------------------------------------------------------------------------------------------------


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


# --- unreadable pictures ---------------------------------------------------------------------------------------------


def bomb():
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def truncated(picture_format):
    content = io.BytesIO()
    Image.fromarray(pixels(64, 64)).save(content, picture_format)
    return content.getvalue()[:1000]


@pytest.fixture
def damaged(two_folders):
    content = {
        "ant/empty.jpg": b"",
        "ant/text.png": b"<html>not found</html>",
        "bee/truncated.jpg": truncated("jpeg"),
        "bee/truncated.png": truncated("png"),
        "bee/bomb.png": bomb(),
        "ant/script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n",
    }
    for name, data in content.items():
        (two_folders / "train" / name).write_bytes(data)
    save(two_folders / "train" / "ant" / "float.tif", Image.fromarray(np.full((8, 8), 0.5, np.float32)))
    (two_folders / "test" / "ant" / "dangling.png").symlink_to("nowhere.png")
    return two_folders


def test_unreadable_pictures_stop_the_run_with_their_number_names_and_reasons(damaged):
    with pytest.raises(UserError, match=r"^8 of 34 pictures in \S*two cannot be read: ") as caught:
        ready(damaged)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith("; mend or delete them, or set data.on_error=skip to leave them out")
    for part in (
        "'train/ant/empty.jpg' (empty)",
        "'train/ant/text.png' (not a picture)",
        "'train/ant/script.jpg' (not a picture)",
        "'train/ant/float.tif' (its grey levels are neither 8-bit nor 16-bit)",
        "'train/bee/truncated.jpg' (image file is truncated",
        "'train/bee/bomb.png' (too many pixels)",
        "'test/ant/dangling.png' (No such file or directory)",
    ):
        assert part in message


def test_unreadable_pictures_can_be_skipped(damaged, caplog):
    with caplog.at_level(logging.WARNING):
        data = ready(damaged, on_error="skip")
    assert "8 of 34 pictures" in caplog.text
    assert "'train/bee/bomb.png' (too many pixels)" in caplog.text
    assert "they are left out" in caplog.text
    assert len(data.split("test")) == 6
    left = [key for split in ("train", "val", "test") for key in keys(data, split)]
    sound = {key for path in damaged.glob("*/*/t*st [0-9]*.png") for key in [np.asarray(Image.open(path)).tobytes()]}
    sound |= {np.asarray(Image.open(path)).tobytes() for path in damaged.glob("train/*/train [0-9]*.png")}
    assert len(left) == len(set(left)) == 26
    assert set(left) == sound
    splits = data.load()
    assert (len(splits.train.images), len(splits.test.images)) == (20, 6)


def test_info_of_a_set_with_unreadable_pictures_leaves_them_out(two_folders):
    sound = Images(root=two_folders, size=SIZE).info
    (two_folders / "train" / "ant" / "empty.jpg").touch()
    assert Images(root=two_folders, size=SIZE).info == sound


def test_only_the_first_ten_are_named(two_folders):
    for number in range(12):
        (two_folders / "train" / "bee" / f"x{number:02}.png").touch()
    with pytest.raises(UserError, match=r"^12 of 38 .*x09\.png' \(empty\) and 2 more; mend") as caught:
        ready(two_folders)
    assert str(caught.value).count("(empty)") == 10


def test_nothing_readable_is_known_from_info(two_folders):
    for path in two_folders.glob("train/*/*"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"20 of 20 pictures in .* cannot be read"):
        assert Images(root=two_folders, size=SIZE, val_fraction=0.2, on_error="skip").info


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("train/ant/*", "No readable training picture is left of the classes 'ant'"), ("test/bee/*", "test picture")],
)
def test_a_class_of_which_nothing_is_left(two_folders, pattern, message):
    for path in two_folders.glob(pattern):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=message):
        ready(two_folders, on_error="skip")


def test_no_validation_picture_left(two_folders):
    data = ready(two_folders, val_fraction=0.05)
    assert len(data.split("val")) == 1
    files(two_folders)[keys(data, "val")[0]].write_bytes(b"")
    with pytest.raises(UserError, match="No readable validation picture is left"):
        ready(two_folders, val_fraction=0.05, on_error="skip")


def test_memory_running_out_is_not_a_damaged_picture(two_folders, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(pictures_module, "decode_picture", fail)
    with pytest.raises(MemoryError):
        ready(two_folders)


def test_remarks_on_metadata_are_kept_quiet_and_filters_are_restored(two_folders, monkeypatch):
    before = list(warnings.filters)
    ready(two_folders)
    assert warnings.filters == before


def test_a_progress_bar_for_many_pictures(two_folders, monkeypatch, capsys):
    ready(two_folders)
    assert not capsys.readouterr().out
    monkeypatch.setattr(images_module, "_LONG", 20)
    ready(two_folders)
    assert "Reading pictures" in capsys.readouterr().out


# --- memory ----------------------------------------------------------------------------------------------------------


def test_more_pictures_than_memory(two_folders, monkeypatch):
    needed = 26 * 3 * 8 * 8
    monkeypatch.setattr(images_module, "available_memory", lambda: needed * 5 // 4)
    data = ready(two_folders)
    assert len(data.split("train")) == 16
    monkeypatch.setattr(images_module, "available_memory", lambda: needed * 5 // 4 - 2)
    with pytest.raises(UserError, match=r"26 pictures of 8x8 pixels need 0\.0 GiB of memory, .* a smaller data\.size"):
        ready(two_folders)
    assert len(ready(two_folders, fraction=0.5).split("train")) == 8
    monkeypatch.setattr(images_module, "available_memory", lambda: None)
    ready(two_folders)


def test_too_little_memory_is_known_from_info_before_anything_is_read(two_folders, monkeypatch):
    monkeypatch.setattr(images_module, "available_memory", lambda: 26 * 3 * 8 * 8)
    monkeypatch.setattr(images_module, "decode_pictures", lambda *_: pytest.fail("read"))
    with pytest.raises(UserError, match="26 pictures of 8x8 pixels need"):
        assert Images(root=two_folders, size=SIZE).info


def test_every_process_needs_the_memory(two_folders, monkeypatch):
    monkeypatch.setattr(images_module, "available_memory", lambda: 2**33)
    data = Images(root=two_folders, size=11000, val_fraction=0.2)
    data.trainer = SimpleNamespace(global_rank=0, world_size=2, num_devices=2)
    with pytest.raises(UserError, match=r"need 17\.6 GiB of memory in 2 processes, .* 80% of the 8\.0 GiB available"):
        data._read(torch.arange(26))


@pytest.fixture
def machine(tmp_path):
    def make(groups="", **contents):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/meminfo").write_text("MemTotal:  2000 kB\nMemAvailable:    1000 kB\n")
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, content in contents.items():
            path = tmp_path / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


def test_available_memory_of_the_machine(machine, tmp_path):
    assert available_memory(tmp_path) is None
    assert available_memory(machine("0::/nowhere\n5:cpu:/\n")) == 1000 * 1024


@pytest.mark.parametrize(
    ("groups", "contents", "expected"),
    [
        (
            "0::/job/step\n",
            {"job__memory_dot_max": "9000", "job__memory_dot_current": "8000", "job__memory_dot_stat": "anon 1"},
            1000,
        ),
        (
            "0::/job\n",
            {
                "job__memory_dot_max": "9000",
                "job__memory_dot_current": "8000",
                "job__memory_dot_stat": "inactive_file 500\nactive_file 70",
            },
            1570,
        ),
        (
            "0::/job\n",
            {"job__memory_dot_max": "max", "job__memory_dot_current": "8000", "job__memory_dot_stat": "anon 1"},
            1000 * 1024,
        ),
        (
            "4:cpu,memory:/x\n0::/\n",
            {
                "memory__x__memory_dot_limit_in_bytes": "9000",
                "memory__x__memory_dot_usage_in_bytes": "8000",
                "memory__x__memory_dot_stat": "inactive_file 1\ntotal_inactive_file 200",
            },
            1200,
        ),
    ],
)
def test_available_memory_under_a_limit(machine, groups, contents, expected):
    assert available_memory(machine(groups, **contents)) == expected


# --- messages --------------------------------------------------------------------------------------------------------


def test_no_root_and_a_missing_one(tmp_path):
    with pytest.raises(UserError, match=r"needs data\.root=FOLDER, with FOLDER/train/CLASS/\*\.jpg and .*FOLDER/CLASS"):
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
        (["ant", "bea"], r"one has no class folder 'bea', only ant, bee, cat; did you mean 'bee'\?"),
        (["ant", False], r"no class folder 'False', only ant, bee, cat \(YAML reads a bare no, .* in quotes\)"),
        (["ant", "bee", "ant"], "data.classes names 'ant' more than once"),
        (["ant"], "data.classes names only 1 class: ant; at least two are needed"),
        ([], "data.classes names only 0 classes; at least two"),
        ("ant", "data.classes='ant': it must be null or a list"),
    ],
)
def test_classes_that_do_not_fit(one_folder, classes, message):
    with pytest.raises(UserError, match=message):
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r"data\.size=0: it must be a number of pixels, such as 64, or \[height, width\]"),
        ({"size": "big"}, r"data\.size='big'"),
        ({"size": [8, 8, 3]}, r"data\.size=\[8, 8, 3\]"),
        ({"size": [8, 2.5]}, r"data\.size=\[8, 2\.5\]"),
        ({"size": True}, r"data\.size=True"),
        ({"channels": 4}, r"data\.channels=4: it must be 1"),
        ({"on_error": "ignore"}, r"data\.on_error='ignore': it must be stop or skip"),
        ({"test_fraction": 0}, r"data\.test_fraction=0: it must be above 0 and below 1"),
        ({"test_fraction": "a"}, r"data\.test_fraction='a'"),
        ({"fraction": 2}, r"data\.fraction=2"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UserError, match=message):
        Images(root="anywhere", **settings)


# --- configuration ---------------------------------------------------------------------------------------------------


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
