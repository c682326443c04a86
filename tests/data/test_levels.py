"""Pictures of more than 8 bits, against their levels divided by their range."""

import numpy as np
import pytest

from gat_lightning.data import Arrays
from gat_lightning.data.pictures import decode_picture, decode_pictures
from gat_lightning.errors import UserError
from support.picture_folders import ready, save
from support.wide_pictures import (
    MAX_SAMPLE,
    PHOTOMETRIC,
    RAMP,
    SMAX_SAMPLE,
    levels,
    of_classes,
    packed_tiff,
    png,
    sixteen_bit_colours,
    tag,
    tiff,
)


def decoded(path):
    return decode_picture(path, (8, 8), 1)[..., 0]


def assert_full_range(found):
    """Within rounding of the 12 and of the 8 bits."""
    assert np.abs(found - RAMP * 255).max() <= 0.51 + 255 / 2 / 1023


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_declared_range_becomes_the_full_one(tmp_path, bits, channels):
    stored, full = levels(bits), 2**bits - 1
    written = {
        "sBIT": png(tmp_path / "a.png", stored, bits),
        "MaxSampleValue": tiff(tmp_path / "a.tif", stored, **tag(MAX_SAMPLE, full)),
        "SMaxSampleValue": tiff(tmp_path / "b.tif", stored, **tag(SMAX_SAMPLE, full)),
    }
    if bits == 12:
        written["BitsPerSample"] = packed_tiff(tmp_path / "c.tif", stored)
    for path in written.values():
        found = decode_picture(path, (8, 8), channels)
        assert found.shape == (8, 8, channels)
        assert np.array_equal(found[..., 0], np.floor(stored / full * 255 + 0.5))
        assert_full_range(found[..., 0])


@pytest.mark.parametrize("bits", [9, 12])
@pytest.mark.parametrize("brightest", [1.0, 0.05])
def test_samples_that_are_scaled_up_to_16_bits_as_the_standard_of_png_has_it(tmp_path, bits, brightest):
    plain = np.rint(RAMP * brightest * (2**bits - 1)).astype(np.uint16)
    shifted = plain << (16 - bits)
    for stored in (shifted, shifted | plain >> (2 * bits - 16)):
        assert np.abs(decoded(png(tmp_path / "a.png", stored, bits)) - plain / (2**bits - 1) * 255).max() <= 1


def test_grey_levels_whose_zero_is_white(tmp_path):
    stored = levels(16)
    expected = 255 - np.rint(stored / 257)
    assert np.array_equal(decoded(tiff(tmp_path / "a.tif", stored, **tag(PHOTOMETRIC, 0))), expected)
    twelve = tiff(tmp_path / "b.tif", levels(12), **tag(PHOTOMETRIC, 0) | tag(MAX_SAMPLE, 4095))
    assert_full_range(255 - decoded(twelve))


@pytest.mark.parametrize(
    ("stored", "tags", "reason"),
    [
        (np.full((8, 8), 5000, np.uint16), tag(MAX_SAMPLE, 4095), "go from 5000 to 5000, and their range is 0 to 4095"),
        (np.full((8, 8), -3, np.int32), {}, "go from -3 to -3, and their range is 0 to 65535"),
        (np.full((8, 8), 70000, np.int32), {}, "go from 70000 to 70000"),
        (np.full((8, 8), 0.5, np.float32), {}, "are floating-point numbers; save them with 8 or 16 bits"),
    ],
)
def test_levels_outside_their_range_are_unreadable(tmp_path, stored, tags, reason):
    path = tiff(tmp_path / "a.tif", stored, **tags)
    _, unreadable = decode_pictures([str(path)], (8, 8), 1)
    assert reason in unreadable[0]


def test_32_bit_levels_of_a_declared_range(tmp_path):
    stored = np.rint(RAMP * 100_000).astype(np.int32)
    assert_full_range(decoded(tiff(tmp_path / "a.tif", stored, **tag(SMAX_SAMPLE, 100_000))))


def test_16_bit_colours(tmp_path):
    colours = np.repeat(levels(16)[..., None], 3, -1)
    found = decode_picture(sixteen_bit_colours(tmp_path / "a.png", colours, 16), (8, 8), 3)
    assert np.array_equal(found, colours >> 8)
    scaled = decode_picture(sixteen_bit_colours(tmp_path / "b.png", colours & 0xFFF0, 12), (8, 8), 3)
    assert np.array_equal(scaled, colours >> 8)
    path = sixteen_bit_colours(tmp_path / "c.png", np.repeat(levels(12)[..., None], 3, -1), 12)
    _, unreadable = decode_pictures([str(path)], (8, 8), 3)
    assert unreadable[0] == "16-bit colours of 12 significant bits cannot be read; save 8-bit colours"


def test_an_undeclared_range_of_12_bits_is_refused_with_the_range_found(tmp_path):
    def write(path, grey):
        grey[0, 0] = 1
        save(path.with_suffix(".png"), np.rint(grey * 4095).astype(np.uint16))

    root = of_classes(tmp_path / "pictures", write)
    with pytest.raises(UserError, match=r"16-bit pictures whose largest value is 4095 \(of \d+ looked at\)") as caught:
        ready(root)
    for text in ("17 of 256 grey levels", "sBIT of 12;", "MaxSampleValue=4095;", "array * (255 / 4095)"):
        assert text in str(caught.value)


def test_declared_pictures_train_in_their_full_range(tmp_path):
    root = of_classes(
        tmp_path / "pictures",
        lambda path, grey: png(path.with_suffix(".png"), np.rint(grey * 4095).astype(np.uint16), 12),
    )
    data = ready(root, channels=1)
    assert data.info.mean[0] == pytest.approx(0.5, abs=0.05)
    assert data.info.std[0] == pytest.approx(12**-0.5, abs=0.02)


def low_contrast(caplog):
    return [record.message for record in caplog.records if "low contrast" in record.message]


def test_low_contrast_of_pictures_and_of_arrays(tmp_path, caplog):
    root = of_classes(
        tmp_path / "pictures", lambda path, grey: save(path.with_suffix(".png"), np.rint(grey).astype(np.uint8))
    )
    ready(root)
    images, labels = np.random.default_rng(0).integers(0, 17, (40, 8, 8)).astype(np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    Arrays(path=tmp_path / "a.npz").setup()
    said = low_contrast(caplog)
    assert [message.split(":")[0] for message in said] == [str(root), "a.npz"]
    assert "grey levels 0 to 16" in said[1]
