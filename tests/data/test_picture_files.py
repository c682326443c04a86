import io
import logging
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from gat_lightning.data import Images
from gat_lightning.data import images as images_module
from gat_lightning.data import pictures as pictures_module
from gat_lightning.data.pictures import decode_picture, decode_pictures
from gat_lightning.errors import UserError
from support.picture_folders import SIZE, files, keys, pixels, ready, save


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
        "'train/ant/float.tif' (its grey levels are floating-point numbers; save them with 8 or 16 bits)",
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
